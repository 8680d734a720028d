import { describe, expect, it } from "vitest";
import { columnsOf, lists } from "./columns.made";
import { append, cell, coarsen, concatenate, emptyColumns, lowerIndex, nearestIndex, ordered, type Part } from "./columns";

const part = (bucket = 1): Part => ({ branch: 0, faded: false, bucket, exact: true, columns: emptyColumns(), nonFinite: [] });

function fill(values: number[], bucket = 1): Part {
  const out = part(bucket);
  values.forEach((value, step) => append(out, step, 1000 + step, step, value));
  return out;
}

describe("append", () => {
  it("keeps each point exact at bucket width 1", () => {
    const { columns, exact } = fill([3, 1, 2]);
    expect(Array.from(columns.mean)).toEqual([3, 1, 2]);
    expect(exact).toBe(true);
  });

  it("joins points of one bucket and leaves older buckets untouched", () => {
    const out = fill([4, 2, 9, 1], 2);
    expect(Array.from(out.columns.min)).toEqual([2, 1]);
    expect(Array.from(out.columns.max)).toEqual([4, 9]);
    expect(Array.from(out.columns.mean)).toEqual([3, 5]);
    expect(Array.from(out.columns.last)).toEqual([2, 1]);
    const before = Array.from(out.columns.mean);
    append(out, 4, 1004, 4, 7);
    expect(Array.from(out.columns.mean.slice(0, 2))).toEqual(before);
  });

  it("takes steps in any order", () => {
    const out = part();
    for (const step of [5, 1, 3]) append(out, step, 0, step, step);
    expect(Array.from(out.columns.step)).toEqual([1, 3, 5]);
  });

  it("keeps a NaN as a gap and as a mark", () => {
    const out = fill([1, NaN, Infinity, 2]);
    expect(out.columns.mean[1]).toBeNaN();
    expect(out.nonFinite.map((mark) => mark.kind)).toEqual(["NaN", "Infinity"]);
    expect(out.columns.mean[3]).toBe(2);
  });
});

describe("coarsen", () => {
  it("halves until the buckets fit and never hides a spike", () => {
    const out = fill([0, 0, 0, 100, 0, 0, 0, 0]);
    coarsen(out, 3);
    expect(out.bucket).toBe(4);
    expect(Array.from(out.columns.max)).toEqual([100, 0]);
    expect(Array.from(out.columns.mean)).toEqual([25, 0]);
    expect(Array.from(out.columns.count)).toEqual([4, 4]);
    expect(out.exact).toBe(false);
  });

  it("gives the same buckets as appending at the wider width", () => {
    const values = Array.from({ length: 37 }, (_, i) => Math.sin(i) * i);
    const narrow = fill(values);
    coarsen(narrow, 10);
    const wide = fill(values, narrow.bucket);
    expect(Array.from(narrow.columns.min)).toEqual(Array.from(wide.columns.min));
    expect(Array.from(narrow.columns.count)).toEqual(Array.from(wide.columns.count));
    narrow.columns.mean.forEach((mean, i) => expect(mean).toBeCloseTo(wide.columns.mean[i], 10));
  });
});

it("puts branches in order into one line", () => {
  const [old, young] = [fill([1, 2]), part()];
  young.branch = 1;
  append(young, 2, 0, 2, 5);
  expect(Array.from(concatenate([young, old]).mean)).toEqual([1, 2, 5]);
});

it.each([["NaN", NaN], ["Infinity", Infinity], ["-Infinity", -Infinity], [null, NaN], [3, 3]])("reads %s", (wire, value) =>
  expect(cell(wire)).toBe(value));

it("finds the neighbour below and the nearest one", () => {
  expect(lowerIndex([1, 3, 5], 4)).toBe(1);
  expect(lowerIndex([1, 3, 5], 0)).toBe(-1);
  expect(nearestIndex([1, 3, 5], 4.1)).toBe(2);
  expect(nearestIndex([], 4)).toBe(-1);
});

it("orders columns by x, and leaves those that rise already as they are", () => {
  const sorted = lists(ordered(columnsOf({ x: [3, 1, 2], step: [0, 1, 2], mean: [30, 10, 20] })));
  expect([sorted.x, sorted.step, sorted.mean]).toEqual([[1, 2, 3], [1, 2, 0], [10, 20, 30]]);
  const rising = columnsOf({ x: [1, 1, 2] });
  expect(ordered(rising)).toBe(rising);
});

it("copies an answer's columns before it writes into them, which may share one piece of memory", () => {
  const shared = Float64Array.from([1, 2]);
  const answer: Part = { ...part(), columns: { ...columnsOf({ time: [1, 2], count: [1, 1] }), x: shared, step: shared, min: shared, max: shared, mean: shared, last: shared } };
  append(answer, 2, 2, 2, 9); // the same step again
  append(answer, 3, 3, 3, 4);
  expect(Array.from(shared)).toEqual([1, 2]);
  expect(Array.from(answer.columns.max)).toEqual([1, 9, 4]);
  expect(Array.from(answer.columns.step)).toEqual([1, 2, 3]);
});

it("grows by the thousand without moving what is there", () => {
  const out = fill(Array.from({ length: 5000 }, (_, i) => i));
  expect(out.columns.mean.length).toBe(5000);
  expect(out.columns.mean.every((value, i) => value === i)).toBe(true);
});
