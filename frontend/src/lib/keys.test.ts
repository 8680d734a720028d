import { expect, it } from "vitest";
import { KeySet, matchKeys, pointKeys, sections } from "./keys";

it("draws no panel of what a run cost, which has no points", () =>
  expect(pointKeys([{ summary: { loss: 1, _cpu_ratio: 1, _device_seconds: 3, _energy_joules: 4, _cost: 5 } }, { summary: null }])).toEqual(["loss", "_cpu_ratio"]));

it("groups by prefix, bare keys first and ours last", () => {
  const out = sections(["_step_seconds", "val/loss", "loss", "train/loss", "layer10/w", "layer9/w", "/odd", "accuracy"]);
  expect(out.map((section) => section.name)).toEqual(["", "layer9", "layer10", "train", "val", "process"]);
  expect(out[0].keys).toEqual(["/odd", "accuracy", "loss"]);
});

it("puts the named keys first", () => expect(sections(["a", "loss"], ["loss"])[0].keys).toEqual(["loss", "a"]));

it.each([
  ["LOSS val", ["val/loss"]], ["", ["val/loss", "train/acc"]], ["/^(val|test)\\//", ["val/loss"]], ["/LOSS$/", ["val/loss"]],
])("finds keys by %s", (text, keys) => expect(matchKeys(["val/loss", "train/acc"], text)).toEqual({ keys, error: "" }));

it("says what is wrong with a pattern, and then hides nothing", () => {
  const found = matchKeys(["a", "b"], "/(a/");
  expect(found.keys).toEqual(["a", "b"]);
  expect(found.error).toMatch(/^Not a regular expression: .*nterminated group/);
});

it("the metrics of runs are the same list until a new one comes", () => {
  const known = new KeySet();
  const first = known.of([{ code: "a", summary: { loss: 1, acc: 2 } }, { code: "b", summary: { m10: 1, m9: 1 } }]);
  expect(first).toEqual(["acc", "loss", "m9", "m10"]);
  expect(known.of([{ code: "a", summary: { loss: 3, acc: 4 } }, { code: "b", summary: { m10: 5, m9: 6 } }])).toBe(first);
  expect(known.of([{ code: "a", summary: { loss: 3, acc: 4, lr: 1 } }])).toEqual(["acc", "loss", "lr"]);
});
