import { expect, it } from "vitest";
import type { KeyInfo } from "../api/types";
import { matchKeys } from "./keys";
import { matchRows, metricRows, onlyThis, standingOf } from "./runsummary";

const info = (key: string, more: Partial<KeyInfo> = {}): KeyInfo => ({ key, points: 9, first_step: 0, last_step: 8, last_value: 1, last_time: 0, low: 0.5, high: 2, non_finite: 0, ...more });
const rows = metricRows([info("layer/10"), info("_step_seconds"), info("val/loss"), info("layer/2", { last_value: "NaN", non_finite: 3 }), info("none", { last_value: null, low: null, high: null })], { "val/loss": 0.7 }, "val/loss");

it("has the goal on top, our own last, and the newest value where a newer one came", () => {
  expect(rows.map(({ key }) => key)).toEqual(["val/loss", "layer/2", "layer/10", "none", "_step_seconds"]);
  expect(rows[0].last).toBe(0.7);
  expect(rows[1]).toMatchObject({ last: NaN, nonFinite: 3 });
});

it("is searched by words and patterns", () => {
  expect(matchRows(rows, "lay 2").rows.map(({ key }) => key)).toEqual(["layer/2"]);
  expect(matchRows(rows, "/(/").error).toMatch(/regular/);
});

it.each([
  ["min", 0.5, true, 0.5], ["min", 0.4, false, 0.5], ["max", 2, true, 2], ["max", 3, false, 2], ["min", null, false, 0.5],
] as const)("a goal %s with target %s is reached: %s, by %s", (goal_direction, goal_target, reached, best) =>
  expect(standingOf({ goal_metric: "val/loss", goal_direction, goal_target }, rows)).toMatchObject({ reached, best, last: 0.7 }));

it("knows of no standing without a goal, and of no best without a point", () => {
  expect(standingOf({ goal_metric: "", goal_direction: "min", goal_target: null }, rows)).toBeNull();
  expect(standingOf({ goal_metric: "gone", goal_direction: "min", goal_target: 1 }, rows)).toMatchObject({ best: null, last: null, reached: false });
});

it.each(["loss", "<img src=x onerror=alert(1)>", "a/b.c [x] $1", "c++"])("finds %s alone", (key) => expect(matchKeys([key, `${key}2`, `x/${key}`], onlyThis(key)).keys).toEqual([key]));
