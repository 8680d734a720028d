import { expect, it } from "vitest";
import { axisOf } from "../../lib/axis";
import type { RunRow } from "../panels/context";
import { brushed, nudgedBrush, readParallel, within } from "./parallel";

const row = (lr: unknown, loss: unknown): RunRow => ({ code: "a", name: "a", state: "finished", colour: "", values: { "config:lr": lr, "metric:loss": loss } });
const rows = [row(0.1, 1), row(0.2, 2), row(0.3, null)];
const axes = new Map(["config:lr", "metric:loss"].map((column) => [column, axisOf(rows.map((each) => each.values[column]), String)]));

it("a run is picked that lies within every brush", () => {
  const picked = (brushes: Record<string, [number, number]>) => rows.map((each) => within(each, axes, brushes));
  expect(picked({})).toEqual([true, true, true]);
  expect(picked({ "config:lr": [0.5, 1] })).toEqual([false, true, true]);
  expect(picked({ "config:lr": [0.5, 1], "metric:loss": [0, 1] })).toEqual([false, true, false]); // no value, no place
  expect(picked({ "config:gone": [0, 0.1] })).toEqual([true, true, true]); // a column that is not shown any more
});

it("a drag is a brush from either side, a click none", () => {
  expect([brushed(0.8, 0.2), brushed(-1, 0.5), brushed(0.5, 0.505)]).toEqual([[0.2, 0.8], [0, 0.5], null]);
});

it("keys move a brush, widen it and take it away", () => {
  expect(nudgedBrush(undefined, "ArrowUp", false)).toEqual([0.05, 1]);
  expect(nudgedBrush([0.2, 0.4], "ArrowDown", false)).toEqual([expect.closeTo(0.15), expect.closeTo(0.35)]);
  expect(nudgedBrush([0.2, 0.4], "ArrowUp", true)).toEqual([0.2, expect.closeTo(0.45)]);
  expect([nudgedBrush([0, 1], "ArrowUp", false), nudgedBrush([0.1, 0.2], "Delete", false), nudgedBrush(undefined, "x", false)]).toEqual([[0, 1], null, undefined]);
});

it("stored brushes that make no sense are left out", () =>
  expect(readParallel({ columns: ["a", 5], brushes: { a: [0, 0.5], b: [2, 3], c: "x", d: [0.5, 0.1] } })).toEqual({ columns: ["a"], brushes: { a: [0, 0.5] } }));
