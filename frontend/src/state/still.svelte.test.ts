// @vitest-environment client
import { flushSync } from "svelte";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Still } from "./still.svelte";

const SETTLES = 3000;
const QUIET = 30_000;
let stop = () => {};

/** Lists of words by their first letter, settled, with somebody at the page. */
function opened(first: { queue: string; runs: string; total?: number }) {
  let now = $state.raw({ total: 0, ...first });
  let got!: ReturnType<typeof make>;
  function make() {
    const still = new Still(() => true);
    const words = (text: string) => text.split(" ").filter(Boolean);
    const keyOf = (word: string) => word[0];
    const queue = still.list(() => words(now.queue), (word) => `job of ${word[0]}`, { about: keyOf });
    const runs = still.list(() => words(now.runs).filter((run) => !queue.items.includes(run)), keyOf, { about: keyOf });
    const card = still.stays(() => queue.lines.length + runs.lines.length > 0);
    return { still, queue, runs, card, more: still.kept(() => now.total) };
  }
  stop = $effect.root(() => void (got = make()));
  flushSync();
  vi.advanceTimersByTime(SETTLES);
  flushSync();
  const seen = () => [got.queue.items.join(" "), got.runs.items.join(" "), got.card.is, got.more.is, got.still.changes];
  const step = (what: () => void) => (what(), flushSync(), seen());
  return { ...got, step, tell: (next: Partial<typeof now>) => step(() => (now = { ...now, ...next })) };
}

beforeEach(() => {
  vi.useFakeTimers();
  const page = new EventTarget();
  vi.stubGlobal("window", Object.assign(page, { setTimeout, clearTimeout }));
  vi.stubGlobal("document", new EventTarget());
});
afterEach(() => {
  stop();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

it("counts what left one list for another once", () => {
  const { tell } = opened({ queue: "a b", runs: "c" });
  expect(tell({ queue: "b", runs: "a c" })).toEqual(["a b", "c", true, 0, 1]);
  expect(tell({ queue: "b", runs: "a" })).toEqual(["a b", "c", true, 0, 2]);
  expect(tell({ queue: "a b", runs: "c" }), "all is as it was").toEqual(["a b", "c", true, 0, 0]);
});

it("shows all as it is when asked: lists, lists by other lists, the card of them, the foot of a card", () => {
  const { still, step, tell } = opened({ queue: "a", runs: "a b", total: 2 });
  expect(tell({ queue: "", runs: "a", total: 3 })).toEqual(["a", "b", true, 2, 2]);
  expect(step(() => still.take())).toEqual(["", "a", true, 3, 0]);
  expect(tell({ runs: "", total: 0 })).toEqual(["", "a", true, 3, 1]);
  expect(step(() => still.take())).toEqual(["", "", false, 0, 0]);
  expect(tell({ runs: "a" }), "what comes next waits again").toEqual(["", "", false, 0, 1]);
});

it("keeps a card whose last line went by the person's own doing, until all is shown as it is", () => {
  const free = new Set(["a"]);
  let now = $state.raw(["a"]);
  let got!: { still: Still; lines: () => number; card: { readonly is: boolean } };
  stop = $effect.root(() => {
    const still = new Still(() => true);
    const list = still.list(() => now, (word) => word, { free });
    got = { still, lines: () => list.lines.length, card: still.stays(() => list.lines.length > 0) };
  });
  flushSync();
  vi.advanceTimersByTime(SETTLES);
  flushSync();
  now = [];
  flushSync();
  expect([got.lines(), got.card.is, got.still.changes]).toEqual([0, true, 0]);
  got.still.take();
  flushSync();
  expect(got.card.is).toBe(false);
});

it("shows all as it is to nobody: when the page is left, or was not touched for a while", () => {
  const { step, tell } = opened({ queue: "a", runs: "" });
  tell({ queue: "b" });
  expect(step(() => window.dispatchEvent(new Event("blur")))).toEqual(["b", "", true, 0, 0]);
  step(() => window.dispatchEvent(new Event("pointermove")));
  expect(tell({ queue: "" })).toEqual(["b", "", true, 0, 1]);
  expect(step(() => vi.advanceTimersByTime(QUIET))).toEqual(["", "", false, 0, 0]);
});
