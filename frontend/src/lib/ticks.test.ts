import { expect, it } from "vitest";
import { clockLabels, secondsLabel, stepLabel, STEP_INCREMENTS } from "./ticks";

it("has only whole steps", () => expect(STEP_INCREMENTS.every(Number.isInteger)).toBe(true));

it.each([[0, "0"], [9000, "9000"], [15000, "15k"], [2_500_000, "2.5M"], [0.5, ""]])("step %s reads %j", (step, text) =>
  expect(stepLabel(step)).toBe(text));

it.each([[0, "0s"], [30, "30s"], [300, "5m"], [90, "1m30"], [5400, "1h30"], [172_800, "2d"], [-30, "-30s"]])(
  "%s s reads %s", (seconds, text) => expect(secondsLabel(seconds)).toBe(text));

it("writes times of day as short as their distance allows, and the date where a day begins", () => {
  const at = (day: number, hour: number, minute = 0, second = 0) => new Date(2026, 0, day, hour, minute, second).getTime() / 1000;
  expect(clockLabels([at(3, 9, 0, 0), at(3, 9, 0, 30)])).toEqual(["09:00:00", "09:00:30"]);
  expect(clockLabels([at(3, 22), at(3, 23), at(4, 0)])).toEqual(["22:00", "23:00", "4 Jan"]);
  expect(clockLabels([at(3, 0), at(4, 0)])).toEqual(["3 Jan", "4 Jan"]);
});
