import { expect, it } from "vitest";
import { secondsLabel, stepLabel, STEP_INCREMENTS } from "./ticks";

it("has only whole steps", () => expect(STEP_INCREMENTS.every(Number.isInteger)).toBe(true));

it.each([[0, "0"], [9000, "9000"], [15000, "15k"], [2_500_000, "2.5M"], [0.5, ""]])("step %s reads %j", (step, text) =>
  expect(stepLabel(step)).toBe(text));

it.each([[0, "0s"], [30, "30s"], [300, "5m"], [90, "1m30"], [5400, "1h30"], [172_800, "2d"], [-30, "-30s"]])(
  "%s s reads %s", (seconds, text) => expect(secondsLabel(seconds)).toBe(text));
