import { expect, test } from "vitest";
import { columnsOf } from "../lib/columns.made";
import type { ShownLine } from "./lines";
import { shareOf, symlogThreshold } from "./projection";

test.each([
  ["linear", [0, 10], 5, 0.5], ["log", [1, 100], 10, 0.5], ["symlog", [-100, 100], 0, 0.5], ["symlog", [-100, 100], 100, 1],
] as const)("on a %s axis over %j, %d lies at %d", (scale, ends, value, share) =>
  expect(shareOf(scale, [ends[0], ends[1]], 1)(value)).toBeCloseTo(share));

test("symlog bends at a power of ten below its values, and at most five decades down", () => {
  const line = (mean: number[]) => ({ columns: columnsOf({ x: mean.map((_, i) => i), mean }) }) as unknown as ShownLine;
  expect(symlogThreshold([line([-300, 0, 0.02, NaN, 7])])).toBeCloseTo(0.01);
  expect(symlogThreshold([line([1e-30, 1])])).toBeCloseTo(1e-5, 9);
  expect(symlogThreshold([line([0, 0])])).toBe(1);
});
