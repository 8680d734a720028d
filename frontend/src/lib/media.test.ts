import { describe, expect, it } from "vitest";
import type { Media } from "../api/types";
import { current, heatOf, itemsAt, quantile, readTable, shownStep, sorted, stepsOf } from "./media";

const row = (id: number, step: number, more: Partial<Media> = {}) => ({ id, step, branch: 0, place: 0, ...more }) as Media;

it("leaves out what a roll back left behind", () => {
  const rows = [row(1, 100), row(2, 600), row(3, 700), row(4, 650, { branch: 1 })];
  expect(current(rows, [{ index: 0, from_step: 0, reason: "start" }, { index: 1, from_step: 600, reason: "rollback" }]).map((each) => each.id)).toEqual([1, 2, 4]);
});

it.each([[null, 30], [25, 20], [30, 30], [5, 10], [999, 30]])("shows for step %s that of %s", (wanted, shown) => expect(shownStep(stepsOf([row(1, 30), row(2, 10), row(3, 20), row(4, 10)]), wanted)).toBe(shown));

it("shows the newer of two under one place, in their order", () => {
  expect(itemsAt([row(1, 5, { place: 1 }), row(2, 5), row(3, 5, { place: 1 }), row(4, 6)], 5).map((each) => each.id)).toEqual([2, 3]);
  expect(shownStep([], null)).toBeNull();
});

describe("histograms over steps", () => {
  it("share one range, and none loses what it counted", () => {
    const heat = heatOf([{ step: 0, branch: 0, edges: [0, 1, 2], counts: [1, 1] }, { step: 10, branch: 0, edges: [2, 4], counts: [8] }], 4)!;
    expect([heat.low, heat.high, heat.steps]).toEqual([0, 4, [0, 10]]);
    expect([...heat.cells]).toEqual([1, 1, 0, 0, 0, 0, 1, 1]);
    expect(heatOf([])).toBeNull();
  });
  it("tell the middle of what was counted", () => {
    expect(quantile({ edges: [0, 1, 3], counts: [1, 1] }, 0.5)).toBe(1);
    expect(quantile({ edges: [0, 1, 3], counts: [1, 1] }, 0.75)).toBe(2);
  });
});

describe("tables", () => {
  it.each([[null], [{}], [{ columns: "a", rows: [] }], [{ columns: ["a"], rows: [1] }], ["<b>"]])("%j is none", (value) => expect(readTable(value)).toBeNull());
  it("are sorted with numbers before words and empty cells last", () => {
    expect(sorted([["b"], [null], [10], ["a10"], [9], ["a9"]], 0, false).map(([cell]) => cell)).toEqual([9, 10, "a9", "a10", "b", null]);
    expect(sorted([[1], [3], [null]], 0, true).map(([cell]) => cell)).toEqual([3, 1, null]);
  });
});
