import { describe, expect, it } from "vitest";
import { smooth, smoothOver } from "./ema";

describe("smooth", () => {
  it("is the identity at weight 0", () => expect(smooth([1, 5, 2], 0)).toEqual([1, 5, 2]));

  it("starts at the first value, not near zero", () => expect(smooth([10, 10.5], 0.9)[0]).toBeCloseTo(10, 12));

  it("leaves a constant exactly as it is", () => expect(smooth([0.1, 0.1, 0.1], 0.97)).toEqual([0.1, 0.1, 0.1]));

  it("matches the closed form", () => {
    const [, second] = smooth([1, 3], 0.5);
    expect(second).toBeCloseTo((0.5 * 0.5 * 1 + 0.5 * 3) / (1 - 0.25), 12);
  });

  it("lets NaN and infinities pass without counting them", () => {
    const out = smooth([1, NaN, Infinity, 3], 0.5);
    expect(out[1]).toBeNaN();
    expect(out[2]).toBe(Infinity);
    expect(out[3]).toBeCloseTo(smooth([1, 3], 0.5)[1], 12);
  });
});

describe("by distance on the axis", () => {
  it("is the same as by count where points are evenly apart", () => {
    const values = [3, 1, 4, NaN, 1, 5];
    const at = [0, 10, 20, 30, 40, 50];
    const even = smoothOver([3, 1, 4, 1, 5], [0, 10, 20, 30, 40], 0.8);
    smooth([3, 1, 4, 1, 5], 0.8).forEach((value, i) => expect(even[i]).toBeCloseTo(value, 12));
    expect(smoothOver(values, at, 0.8)[3]).toBeNaN();
  });

  it("forgets over a pause, and leaves a constant as it is", () => {
    const steady = Array.from({ length: 20 }, (_, i) => (i < 19 ? 1 : 9));
    const x = Array.from({ length: 20 }, (_, i) => (i < 19 ? i : 1000));
    expect(smoothOver(steady, x, 0.6).at(-1)).toBeGreaterThan(8);
    expect(smooth(steady, 0.6).at(-1)).toBeLessThan(5);
    expect(smoothOver([0.1, 0.1, 0.1], [0, 1, 9], 0.9)).toEqual([0.1, 0.1, 0.1]);
    expect(smoothOver([1, 2], [5, 5], 0.9)).toEqual([1, 2]); // no distance at all
  });
});
