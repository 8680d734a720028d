import { describe, expect, it } from "vitest";
import { fromPosition, parseNumber, toPosition, type Range } from "./scale";

const rate: Range = { low: 1e-6, high: 1, scale: "log" };

describe("a log slider", () => {
  it("gives each decade the same room", () => {
    expect(toPosition(1e-3, rate)).toBeCloseTo(0.5, 12);
    expect(fromPosition(0.5, rate)).toBeCloseTo(1e-3, 12);
  });

  it("reaches its ends exactly", () => {
    expect(fromPosition(0, rate)).toBe(1e-6);
    expect(fromPosition(1, rate)).toBe(1);
  });

  it("works from zero", () => {
    const decay: Range = { low: 0, high: 0.1, scale: "log" };
    expect(toPosition(0, decay)).toBe(0);
    expect(fromPosition(0, decay)).toBe(0);
    expect(toPosition(fromPosition(0.3, decay), decay)).toBeCloseTo(0.3, 2);
  });
});

it("keeps whole numbers whole and values inside their bounds", () => {
  const batch: Range = { low: 8, high: 512, scale: "log", whole: true };
  for (let p = 0; p <= 1; p += 0.05) {
    const value = fromPosition(p, batch);
    expect(Number.isInteger(value)).toBe(true);
    expect(value).toBeGreaterThanOrEqual(8);
    expect(value).toBeLessThanOrEqual(512);
  }
  expect(toPosition(1e9, batch)).toBe(1);
});

it.each([["1e-3", 0.001], [" 64 ", 64], [".5", 0.5], ["", null], ["1,5", null], ["abc", null], ["1e999", null], ["NaN", null]])(
  "reads %j as %s", (text, value) => expect(parseNumber(text as string)).toBe(value));
