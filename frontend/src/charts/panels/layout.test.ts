import { describe, expect, it } from "vitest";
import { added, arrange, changed, folded, moved, NEW, nudged, putAway, removed, shownAgain, type Section, spansOf } from "./layout";
import { empty, readPanels } from "./spec";

const KEYS = ["_step_seconds", "val/loss", "loss", "layer10/w", "layer9/w", "accuracy"];
const names = (sections: Section[]) => sections.map(({ name, panels }) => [name, ...panels.map((panel) => panel.id.replace("key:", ""))]);

it("has a section for each prefix, bare names first and ours last", () =>
  expect(names(arrange(KEYS, empty(), ["loss"]))).toEqual([
    ["", "loss", "accuracy"], ["layer9", "layer9/w"], ["layer10", "layer10/w"], ["val", "val/loss"], ["process", "_step_seconds"],
  ]));

it("puts what came late below all others, and moves nothing for it", () => {
  const before = names(arrange(KEYS, empty(), ["loss"]));
  const late = ["aaa", "eval/loss", "val/acc"];
  const now = arrange([...KEYS, ...late], empty(), ["loss"], late);
  expect(names(now)).toEqual([...before, [NEW, "aaa", "eval/loss", "val/acc"]]);
  expect(nudged(empty(), now, "key:aaa", 1)).toEqual(empty()); // it has no place there to be kept
  const there = moved(empty(), now, "key:eval/loss", "val", null);
  expect(names(arrange([...KEYS, ...late], there, ["loss"], ["aaa", "val/acc"]))).toContainEqual(["val", "val/loss", "eval/loss"]);
});

describe("by hand", () => {
  const start = arrange(KEYS, empty());
  it("a panel goes before another, into another section, and back", () => {
    const there = moved(empty(), start, "key:val/loss", "", "key:loss");
    expect(names(arrange(KEYS, there))[0]).toEqual(["", "accuracy", "val/loss", "loss"]);
    const back = moved(there, arrange(KEYS, there), "key:val/loss", "val", null);
    expect(names(arrange(KEYS, back))).toContainEqual(["val", "val/loss"]);
    expect(back.panels).toEqual({}); // where it stands by itself nothing needs to be kept
  });

  it("one place on or back, and no further than the end", () => {
    const on = nudged(empty(), start, "key:accuracy", 1);
    expect(names(arrange(KEYS, on))[0]).toEqual(["", "loss", "accuracy"]);
    expect(nudged(on, arrange(KEYS, on), "key:accuracy", 1)).toBe(on);
    expect(names(arrange(KEYS, nudged(on, arrange(KEYS, on), "key:accuracy", -1)))[0]).toEqual(["", "accuracy", "loss"]);
  });

  it("a panel of one's own stands first, and is gone when it is removed", () => {
    const { json, id } = added(empty(), { kind: "text", options: { text: "hello" } }, () => 0.5);
    expect(arrange(KEYS, json)[0].panels[0]).toMatchObject({ id, kind: "text", options: { text: "hello" } });
    expect(removed(json, id).panels).toEqual({});
  });

  it("a metric's panel is put away and shown again", () => {
    const away = removed(empty(), "key:loss");
    expect([names(arrange(KEYS, away))[0], putAway(away)]).toEqual([["", "accuracy"], ["key:loss"]]);
    expect(shownAgain(away).panels).toEqual({});
  });

  it("a size is kept until it is the usual one again, a fold until it is opened", () => {
    const large = changed(empty(), "key:loss", { columns: 2 });
    expect(arrange(KEYS, large)[0].panels[1].columns).toBe(2);
    expect(changed(large, "key:loss", { columns: undefined }).panels).toEqual({});
    expect(arrange(KEYS, folded(empty(), "val", true)).find(({ name }) => name === "val")!.closed).toBe(true);
    expect(folded(folded(empty(), "val", true), "val", false)).toEqual(empty());
  });
});

describe("what somebody else wrote", () => {
  it.each([[null], [[]], ["text"], [{ panels: 5, order: [], sections: {}, closed: "x", look: 7 }], [{ panels: { "key:a": null } }]])("%j is read without harm", (stored) => {
    const { panels, ...rest } = readPanels(stored);
    expect(rest).toMatchObject({ order: {}, sections: [], closed: [], version: 1 });
    expect(arrange(["a"], { ...rest, panels })).toHaveLength(1);
  });

  it("is cut to what makes sense, and newer fields are carried along", () => {
    const read = readPanels({
      version: 9, later: { a: 1 }, panels: { "own:x": { kind: "hologram", columns: 99, height: -5, glow: true, title: "x".repeat(999) } },
      look: { scale: "cubic", smoothing: 5, x: "epoch", log: true },
    });
    expect(read).toMatchObject({ version: 1, later: { a: 1 }, panels: { "own:x": { kind: "hologram", columns: 6, height: 120, glow: true } } });
    expect(read.panels["own:x"].title).toBeUndefined();
    expect(read.look).toMatchObject({ scale: "log", smoothing: 0, x: "epoch", tip: "nearest" });
  });

  it("cannot reach into prototypes", () => {
    const read = readPanels(JSON.parse('{"panels": {"__proto__": {"hidden": true}}, "order": {"__proto__": ["a"]}}'));
    expect(Object.keys(read.panels)).toEqual([]);
    expect(({} as Record<string, unknown>).hidden).toBeUndefined();
  });
});

it("arranges five thousand metrics within a frame or two", () => {
  const many = Array.from({ length: 5000 }, (_, i) => `layer${i % 50}/metric${i}`);
  const began = performance.now();
  expect(arrange(many, empty()).flatMap(({ panels }) => panels)).toHaveLength(5000);
  expect(performance.now() - began).toBeLessThan(500); // some 20 ms on a quiet machine
});

it.each([
  [[1], 3, [3]], [[1, 1], 3, [2, 1]], [[1, 1, 1], 3, [1, 1, 1]], [[1, 1, 1, 1], 3, [1, 1, 1, 3]], [[2, 2], 3, [2, 2]], [[2, 2, 1], 3, [2, 2, 1]], [[6, 1], 2, [2, 2]], [[1], 1, [1]], [[], 2, []],
])("leaves no hole at the end of a section: %j in %i", (wide, columns, spans) => expect(spansOf(wide.map((each) => ({ columns: each })), columns)).toEqual(spans));
