import { expect, it } from "vitest";
import { columnsOf } from "../lib/columns.made";
import type { SeriesLine } from "./series";
import { spread } from "./spread";

const line = (x: number[], mean: number[]): SeriesLine => ({ columns: columnsOf({ x, step: x, time: x, mean }), faded: [], nonFinite: [], exact: true });
const runs = [line([0, 2, 4], [0, 2, 4]), line([0, 1, 2], [4, 5, 6]), line([], [])];

it("is the mean of the runs that reach so far, by straight lines between their points", () => {
  const { columns } = spread(runs, "none");
  expect(Array.from(columns.x)).toEqual([0, 1, 2, 4]);
  expect(Array.from(columns.mean)).toEqual([2, 3, 4, 4]);
  expect(Array.from(columns.count)).toEqual([2, 2, 2, 1]);
});

it("has a band of the deviation, or from least to greatest", () => {
  const deviation = spread(runs, "deviation").columns;
  expect(deviation.max[0] - deviation.mean[0]).toBeCloseTo(Math.sqrt(8), 12);
  expect([deviation.min[3], deviation.max[3]]).toEqual([4, 4]); // of one run there is none
  const range = spread(runs, "range").columns;
  expect([range.min[0], range.max[0]]).toEqual([0, 4]);
});

it("passes over what is not finite, and keeps to so many places", () => {
  const long = Array.from({ length: 5000 }, (_, i) => i);
  const { columns } = spread([line(long, long), line([0, 4999], [NaN, NaN])], "range", 100);
  expect(columns.x).toHaveLength(100);
  expect([columns.x[0], columns.x[99], columns.count[50]]).toEqual([0, 4999, 1]);
});
