import { describe, expect, it } from "vitest";
import { append, emptyColumns, type Part } from "../lib/columns";
import { align, byNearness, extentX, extentY, padded, readings, smoothed, type ChartLine } from "./lines";

function line(id: string, points: [number, number][]): ChartLine {
  const part: Part = { branch: 0, faded: false, bucket: 1, exact: true, columns: emptyColumns(), nonFinite: [] };
  for (const [step, value] of points) append(part, step, 1000 + step, step, value);
  return { id, label: id, colour: "--series-1", columns: part.columns, faded: [], nonFinite: part.nonFinite, exact: true };
}

const a = line("a", [[0, 1], [2, NaN], [4, 3]]);
const b = line("b", [[1, 10], [4, 30]]);

describe("align", () => {
  it("joins different steps and tells a gap from another line's point", () => {
    const [x, ...values] = align(smoothed([a, b], 0), false);
    expect([Array.from(x), ...values]).toEqual([[0, 1, 2, 4], [1, undefined, null, 3], [undefined, 10, undefined, 30]]);
  });

  it("takes the steps that all lines share as they are", () => {
    const [one, two] = [line("a", [[0, 1], [1, NaN]]), line("b", [[0, 3], [1, 4]])];
    const [x, ...values] = align(smoothed([one, two], 0), false);
    expect(x).toBe(one.columns.x);
    expect(values).toEqual([[1, null], [3, 4]]);
  });

  it("leaves out what a log axis cannot show", () => {
    expect(align(smoothed([line("c", [[0, -1], [1, 0], [2, 5]])], 0), true)[1]).toEqual([null, null, 5]);
  });
});

describe("extents", () => {
  it("cover all lines", () => {
    expect(extentX([a, b])).toEqual([0, 4]);
    expect(extentX([])).toBeNull();
    expect(extentY(smoothed([a, b], 0), [0, 4], false, false)).toEqual({ min: 1, max: 30, hidden: 0 });
  });

  it("count what a log axis hides", () => {
    expect(extentY(smoothed([line("c", [[0, -1], [1, 0], [2, 5]])], 0), [0, 2], true, false)).toEqual({ min: 5, max: 5, hidden: 2 });
  });

  it("can look past an outlier", () => {
    const spiked = line("s", Array.from({ length: 200 }, (_, i) => [i, i === 100 ? 1e9 : i / 200]));
    expect(extentY(smoothed([spiked], 0), [0, 200], false, true)!.max).toBeLessThan(1);
    expect(extentY(smoothed([spiked], 0), [0, 200], false, false)!.max).toBe(1e9);
  });

  it("let a branch left behind widen the picture, not flatten it", () => {
    const exploded = { ...line("e", [[0, 1], [1, 2], [2, 1]]), faded: [line("f", [[1, 2], [2, 1e6]]).columns] };
    expect(extentY(smoothed([exploded], 0), [0, 2], false, false)).toEqual({ min: 1, max: 2.6, hidden: 0 });
    const alone = { ...line("g", []), faded: exploded.faded };
    expect(extentY(smoothed([alone], 0), [0, 2], false, false)!.max).toBe(1e6);
  });

  it("leave air, but none below zero for what is never negative", () => {
    expect(padded({ min: 0, max: 1 }, false)[0]).toBe(0);
    expect(padded({ min: 5, max: 5 }, false)).toEqual([4.5, 5.5]);
    expect(padded({ min: 0, max: 0 }, false)).toEqual([-1, 1]);
    expect(padded({ min: 0.1, max: 0.1 + 2e-17 * 7 }, false)[0]).toBeCloseTo(0.09); // rounding is no movement
    expect(padded({ min: 1, max: 1 }, true)).toEqual([0.5, 2]);
    expect(padded({ min: 0.98, max: 1 }, false, true)).toEqual([0, 1]);
    expect(padded({ min: 0, max: 3.5 }, false, true)[1]).toBeGreaterThan(3.5);
  });
});

describe("readings", () => {
  it("take each line's nearest point, within reach", () => {
    const found = readings(smoothed([a, b], 0), 1.2, 1, false);
    expect(found.map((reading) => [reading.id, reading.step])).toEqual([["a", 2], ["b", 1]]);
    expect(found[0].value).toBeNaN();
  });

  it("come nearest to the pointer first", () => {
    const found = byNearness(readings(smoothed([a, b], 0), 4, 1, false), 29);
    expect(found.map((reading) => reading.id)).toEqual(["b", "a"]);
  });
});
