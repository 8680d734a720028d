import { describe, expect, it } from "vitest";
import { bentTicks } from "./bentticks";
import { shareOf } from "./projection";

describe("a logarithmic axis", () => {
  it.each([
    [[1, 100], [1, 10, 100]],
    [[0.01, 100], [0.01, 0.1, 1, 10, 100]],
    [[1e-6, 1e6], [1e-6, 0.001, 1, 1000, 1e6]],
    [[1e-3, 1e35], [1, 1e10, 1e20, 1e30]],
    [[1e-150, 1e150], [1e-100, 1, 1e100]],
    [[2, 9], [2, 5]],
  ] as [[number, number], number[]][])("from %j has the ticks %j among its own", ([low, high], ticks) =>
    expect(bentTicks("log", [low, high], 1, 5)).toEqual(expect.arrayContaining(ticks)));

  it("has round ticks where it holds no power of ten", () => {
    const ticks = bentTicks("log", [3.1, 4.2], 1, 5);
    expect(ticks.length).toBeGreaterThanOrEqual(3);
    expect(ticks).toContain(3.6);
  });
});

describe("a symlog axis", () => {
  it("has zero, and powers of both signs", () =>
    expect(bentTicks("symlog", [-1000, 1e6], 1, 6)).toEqual(expect.arrayContaining([-100, 0, 100, 1e4, 1e6])));

  it("is told from its threshold on, however far it goes", () => {
    const ticks = bentTicks("symlog", [1e-3, 1e35], 1e30, 5);
    expect(ticks.length).toBeGreaterThanOrEqual(3);
    expect(ticks.at(-1)).toBe(1e34);
  });
});

it("leaves room for labels and stays within the axis", () => {
  for (const scale of ["log", "symlog"] as const) {
    for (let from = -12; from < 12; from += 3) {
      for (let decades = 1; decades < 250; decades = Math.ceil(decades * 1.7)) {
        const ends: [number, number] = [Number(`1.3e${from}`), Number(`2.6e${from + decades}`)];
        const threshold = scale === "log" ? 1 : Number(`1e${from + Math.max(0, decades - 5)}`);
        const ticks = bentTicks(scale, ends, threshold, 5);
        const places = ticks.map(shareOf(scale, ends, threshold));
        expect(ticks.length, `${scale} ${ends}`).toBeGreaterThanOrEqual(2);
        expect(ticks.length).toBeLessThanOrEqual(8);
        expect(Math.min(...places)).toBeGreaterThanOrEqual(-1e-6);
        expect(Math.max(...places)).toBeLessThanOrEqual(1 + 1e-6);
        for (let i = 1; i < places.length; i += 1) expect(places[i] - places[i - 1], `${scale} ${ends} ${ticks}`).toBeGreaterThan(0.13);
      }
    }
  }
});
