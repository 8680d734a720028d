import { expect, it } from "vitest";
import { columnsOf } from "../lib/columns.made";
import { parseExpression } from "../lib/expression";
import { calculate } from "./calculate";
import type { SeriesLine } from "./series";

function line(steps: number[], mean: number[], more: Partial<SeriesLine> = {}): SeriesLine {
  const columns = columnsOf({ x: steps, step: steps, time: steps, min: mean, max: mean, mean, last: mean, count: steps.map(() => 1) });
  return { columns, faded: [], nonFinite: [], exact: true, ...more };
}
const lines: Record<string, SeriesLine> = {
  loss: line([0, 1, 2, 3], [8, 6, 4, 2]),
  "val/loss": line([1, 3], [3, 0]),
  acc: { ...line([0, 2], [0.25, 0.5], { exact: false, faded: [line([1], [0.75]).columns] }) },
  coarse: line([0, 2], [1, 2], { exact: false }),
};
lines.acc.columns.max = Float64Array.of(0.5, 0.5);

const worked = (text: string) => {
  const { tree, keys } = parseExpression(text);
  return calculate(tree!, keys, (key) => lines[key] ?? null);
};
const points = (text: string) => {
  const { columns } = worked(text)!;
  return Array.from(columns.step, (step, i) => [step, columns.mean[i]]);
};

it("stands where all of its metrics have a point", () => expect(points("loss / val/loss")).toEqual([[1, 2], [3, NaN]]));
it("takes the bucket that holds the step", () => expect(points("loss * coarse")).toEqual([[0, 8], [2, 8]]));
it("turns a metric's band over, and its branches left behind", () => {
  const { columns, faded } = worked("1 - acc")!;
  expect([Array.from(columns.min), Array.from(columns.max)]).toEqual([[0.5, 0.5], [0.75, 0.5]]);
  expect(Array.from(faded[0].mean)).toEqual([0.25]);
});
it("marks what is not finite, or becomes so", () => {
  lines.bad = line([0, 1, 2], [1, NaN, 0], { nonFinite: [{ step: 1, x: 1, kind: "Infinity" }] });
  const marks = (text: string) => worked(text)!.nonFinite.map(({ step, kind }) => [step, kind]);
  expect(marks("1 - bad")).toEqual([[1, "-Infinity"]]);
  expect(marks("log(bad)")).toEqual([[1, "Infinity"], [2, "-Infinity"]]);
  expect(marks("loss / bad")).toEqual([[1, "NaN"], [2, "Infinity"]]);
});
it("is nothing where a metric is not there", () => expect(worked("loss + nowhere")).toBeNull());
