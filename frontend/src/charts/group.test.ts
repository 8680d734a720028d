import { expect, it } from "vitest";
import { ChartGroup } from "./group";

it("a zoomed group knows what there is beside the range, though its charts read the range alone", () => {
  const group = new ChartGroup();
  expect(group.whole([0, 100])).toEqual([0, 100]);
  expect(group.whole([0, 50])).toEqual([0, 50]); // a shorter chart shows itself whole
  group.zoom([10, 20]);
  expect(group.whole([10, 20])).toEqual([0, 100]);
  expect(group.whole([90, 120])).toEqual([0, 120]);
  const fresh = new ChartGroup();
  fresh.zoom([3, 4]);
  expect(fresh.whole([3, 4])).toEqual([3, 4]);
});

it("tells its charts of another range once", () => {
  const group = new ChartGroup();
  const heard: unknown[] = [];
  group.listen((range) => heard.push(range));
  group.zoom([1, 2]);
  group.zoom([1, 2]);
  group.zoom(null);
  expect(heard).toEqual([[1, 2], null]);
});

it("charts of a group that stands together show everything of all of them, and hear when that has grown", () => {
  const group = new ChartGroup(true);
  const heard: unknown[] = [];
  group.listen((range) => heard.push(range));
  expect(group.whole([10, 100])).toEqual([10, 100]);
  expect(group.whole([0, 60])).toEqual([0, 100]); // the shorter one stands beside the other
  expect(heard).toEqual([null]); // and the one that was drawn before is drawn anew
  expect(group.whole([10, 100.5])).toEqual([0, 100.5]);
  expect(heard).toHaveLength(1); // not for every point
  group.zoom([20, 30]);
  expect(group.whole([20, 30])).toEqual([0, 100.5]);
});
