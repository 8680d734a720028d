import { expect, it } from "vitest";
import { MOST_PIXELS, topOf, windowOf } from "./rows";

it("draws the rows in view and a few around them", () => {
  expect(windowOf(0, 190, 19, 1000, 2)).toEqual({ first: 0, last: 13, top: 0, height: 19_000 });
  expect(windowOf(1900, 190, 19, 1000, 2)).toEqual({ first: 98, last: 113, top: 98 * 19, height: 19_000 });
  expect(windowOf(0, 190, 19, 3, 2)).toEqual({ first: 0, last: 3, top: 0, height: 57 });
});

it("reaches every one of ten million rows within the height that browsers draw", () => {
  const total = 10_000_000;
  for (const index of [0, 1, 4_999_999, total - 1]) {
    const top = topOf(index, 600, 19, total);
    const seen = windowOf(top, 600, 19, total);
    expect(seen.height).toBe(MOST_PIXELS);
    expect(index).toBeGreaterThanOrEqual(seen.first);
    expect(index).toBeLessThan(seen.last);
    expect(top).toBeLessThanOrEqual(MOST_PIXELS - 600);
  }
});

it("puts a row into the middle of the view", () => {
  const seen = windowOf(topOf(500, 190, 19, 1000), 190, 19, 1000, 0);
  expect(seen.first).toBe(495);
});
