import { describe, expect, it } from "vitest";
import { append, emptyColumns, type Part } from "../lib/columns";
import { extentX, extentY, inOrder, padded, readings, smoothed, type ChartLine, type Reading } from "./lines";

function line(id: string, points: [number, number][]): ChartLine {
  const part: Part = { branch: 0, faded: false, bucket: 1, exact: true, columns: emptyColumns(), nonFinite: [] };
  for (const [step, value] of points) append(part, step, 1000 + step, step, value);
  return { id, label: id, colour: "--series-1", columns: part.columns, faded: [], nonFinite: part.nonFinite, exact: true };
}

const a = line("a", [[0, 1], [2, NaN], [4, 3]]);
const b = line("b", [[1, 10], [4, 30]]);

describe("extents", () => {
  it("cover all lines", () => {
    expect(extentX([a, b])).toEqual([0, 4]);
    expect(extentX([])).toBeNull();
    expect(extentY(smoothed([a, b], 0), [0, 4], "linear", false)).toEqual({ min: 1, max: 30, hidden: 0, outside: 0 });
  });

  it("count what a log axis hides", () => {
    expect(extentY(smoothed([line("c", [[0, -1], [1, 0], [2, 5]])], 0), [0, 2], "log", false)).toEqual({ min: 5, max: 5, hidden: 2, outside: 0 });
    const bucket = line("d", [[0, -1]]);
    bucket.columns.count[0] = 64; // all of them at or below its max
    expect(extentY(smoothed([bucket], 0), [0, 2], "log", false)!.hidden).toBe(64);
    expect(extentY(smoothed([bucket], 0), [0, 2], "symlog", false)).toMatchObject({ min: -1, hidden: 0 });
  });

  it("can look past an outlier", () => {
    const spiked = line("s", Array.from({ length: 200 }, (_, i) => [i, i === 100 ? 1e9 : i / 200]));
    expect(extentY(smoothed([spiked], 0), [0, 200], "linear", true)).toMatchObject({ min: 0, max: expect.closeTo(1.46, 1) as number, outside: 1 });
    expect(extentY(smoothed([spiked], 0), [0, 200], "linear", false)!.max).toBe(1e9);
  });

  it("let a branch left behind widen the picture, not flatten it", () => {
    const exploded = { ...line("e", [[0, 1], [1, 2], [2, 1]]), faded: [line("f", [[1, 2], [2, 1e6]]).columns] };
    expect(extentY(smoothed([exploded], 0), [0, 2], "linear", false)).toEqual({ min: 1, max: 2.6, hidden: 0, outside: 0 });
    const alone = { ...line("g", []), faded: exploded.faded };
    expect(extentY(smoothed([alone], 0), [0, 2], "linear", false)!.max).toBe(1e6);
  });

  it("leave air, but none below zero for what is never negative", () => {
    expect(padded({ min: 0, max: 1 }, "linear")[0]).toBe(0);
    expect(padded({ min: 5, max: 5 }, "linear")).toEqual([4.5, 5.5]);
    expect(padded({ min: 0, max: 0 }, "linear")).toEqual([-1, 1]);
    expect(padded({ min: 0.1, max: 0.1 + 2e-17 * 7 }, "linear")[0]).toBeCloseTo(0.09); // rounding is no movement
    expect(padded({ min: 1, max: 1 }, "log")).toEqual([0.5, 2]);
    // An axis that ended at infinity would have ticks without end.
    for (const scale of ["linear", "log", "symlog"] as const)
      for (const min of [Number.MIN_VALUE, 1e-5, 1.6e308]) {
        const [low, high] = padded({ min, max: 1.7e308 }, scale);
        expect(Number.isFinite(low) && high - low < Infinity && high > 1e307, `${scale} from ${min}`).toBe(true);
      }
    const [low, high] = padded({ min: -1.7e308, max: 1.7e308 }, "linear");
    expect(Number.isFinite(high - low)).toBe(true);
    expect(padded({ min: 0.98, max: 1 }, "linear", true)).toEqual([0, 1]);
    expect(padded({ min: 0, max: 3.5 }, "linear", true)[1]).toBeGreaterThan(3.5);
  });
});

describe("readings", () => {
  it("take each line's nearest point, within reach", () => {
    const found = readings(smoothed([a, b], 0), 1.2, 1, false);
    expect(found.map((reading) => [reading.id, reading.step])).toEqual([["a", 2], ["b", 1]]);
    expect(found[0].value).toBeNaN();
  });

  it("tell of the branches left behind too, only where those are", () => {
    const back = { ...line("c", [[0, 1], [10, 2], [20, 3]]), faded: [line("c", [[12, 50], [14, 60]]).columns, line("c", [[13, 7]]).columns] };
    const at = (x: number) => readings(smoothed([back], 0.5), x, Infinity, true, 1).map(({ line: of, left, value, smoothed: shown }) => [of, left, value, shown !== null]);
    expect(at(13)).toEqual([["c", false, 2, true], ["c", true, 50, false], ["c", true, 7, false]]);
    expect(at(19)).toEqual([["c", false, 3, true]]);
    const ids = readings(smoothed([back], 0), 13, Infinity, false).map(({ id }) => id);
    expect(new Set(ids).size).toBe(3);
  });

  it("come nearest to the pointer first", () => {
    const found = readings(smoothed([a, b], 0), 4, 1, false);
    const away = (reading: Reading) => Math.abs(reading.value - 29);
    const ids = (order: "nearest" | "value" | "name") => inOrder(found, order, away).map((reading) => reading.id);
    expect([ids("nearest"), ids("value"), ids("name")]).toEqual([["b", "a"], ["b", "a"], ["a", "b"]]);
    const lost = { ...found[0], id: "n", label: "n", value: NaN };
    expect(inOrder([lost, ...found], "value", away).map((reading) => reading.id)).toEqual(["b", "a", "n"]);
  });
});
