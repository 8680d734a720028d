// @vitest-environment client
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { HEAD, ROW, RowWindow } from "./rowwindow.svelte";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function opened() {
  const sight = new RowWindow(() => 10_000);
  sight.height = HEAD + 20 * ROW;
  return sight;
}

it("draws some rows to spare while one reads, none while the table runs past, and them again when it rests", () => {
  const sight = opened();
  sight.scrolled(4 * ROW);
  expect(sight.part).toEqual({ from: 0, to: 30 });
  sight.scrolled(5 * ROW);
  expect(sight.part).toEqual({ from: 0, to: 30 }); // moves on by four rows at once
  for (const line of [100, 120, 140]) sight.scrolled(line * ROW + 1);
  expect(sight.part).toEqual({ from: 139, to: 161 });
  const drawn = Array.from({ length: 20 }, (_, i) => sight.slotOf(141 + i));
  expect(new Set(drawn).size).toBe(20);
  vi.advanceTimersByTime(119);
  expect(sight.part.from).toBe(139);
  vi.advanceTimersByTime(1);
  expect(sight.part).toEqual({ from: 134, to: 166 });
  // What was in view kept its elements.
  expect(Array.from({ length: 20 }, (_, i) => sight.slotOf(141 + i))).toEqual(drawn);
});

it("draws what is spare as soon as it slows down", () => {
  const sight = opened();
  sight.scrolled(200 * ROW);
  sight.scrolled(202 * ROW);
  expect(sight.part).toEqual({ from: 194, to: 226 });
});

it("has an element for each row of any place", () => {
  const sight = opened();
  for (const top of [0, 17, 143, 4000, 4000.5, 300, 301, 359_000, 1e6]) {
    sight.scrolled(top);
    const { from, to } = sight.part;
    const slots = Array.from({ length: to - from }, (_, i) => sight.slotOf(from + i));
    expect(new Set(slots).size).toBe(slots.length);
  }
});
