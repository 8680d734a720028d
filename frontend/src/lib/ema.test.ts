import { describe, expect, it } from "vitest";
import { smooth } from "./ema";

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
