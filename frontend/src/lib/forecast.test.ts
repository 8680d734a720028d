import { expect, test } from "vitest";
import { columnsOf } from "./columns.made";
import { forecastPicture } from "./forecast";

const columns = (step: number[], mean: number[]) => columnsOf({ step, mean, x: step });
const decision = { decided_step: 90, judge_at_step: 190, evidence: {}, forecast: { metric: "loss", steps: [90, 190], mean: [2, 2], low: [1.8, 1.8], high: [2.2, 2.2] } };
const numbers = (points: string) => points.split(" ").map((pair) => pair.split(",").map(Number));

test("what was measured before a roll back is drawn as left behind, and only up to the decision", () => {
  const line = { columns: columns([0, 50, 100], [2, 1, 0.5]), faded: [columns([40, 80, 90, 95], [2.1, 2.3, 2.3, 2.3])] };
  const picture = forecastPicture(decision, line, 300, 100)!;
  expect(picture.from).toBe(30);
  expect(numbers(picture.left[0])).toHaveLength(3);
  expect(numbers(picture.measured).map(([x]) => x)).toEqual([37.5, 131.3]); // steps 50 and 100 of 30 to 190
});

test("an explosion that was left behind does not press the rest flat", () => {
  const line = { columns: columns([50, 100], [1, 0.2]), faded: [columns([60, 80], [1e9, 2])] };
  const picture = forecastPicture(decision, line, 300, 100)!;
  const heights = numbers(picture.measured).map(([, y]) => y);
  expect(heights[1] - heights[0]).toBeGreaterThan(15);
  expect(numbers(picture.left[0])[0][1]).toBe(4); // held at the top
});

test("without a forecast the picture is of what was seen, and there is none without that", () => {
  const blind = { decided_step: 90, judge_at_step: 190, evidence: { window: [60, 90] }, forecast: { metric: "loss", steps: [90, 190], mean: [] } };
  const picture = forecastPicture(blind, { columns: columns([0, 50, 100], [2, 1, 0.5]), faded: [columns([60, 80], [1, 3])] }, 300, 100)!;
  expect([picture.from, picture.to, picture.forecast, picture.left.length]).toEqual([0, 190, "", 1]);
  expect(numbers(picture.measured)).toHaveLength(3);
  expect(forecastPicture(blind, null, 300, 100)).toBeNull();
  expect(forecastPicture({ ...blind, evidence: {} }, null, 300, 100)).toBeNull();
});
