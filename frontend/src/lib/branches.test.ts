import { expect, it } from "vitest";
import { branchAfter, branchAt, lineOf, type Branch } from "./branches";
import { columnsOf } from "./columns.made";
import type { Part } from "./columns";

const branches: Branch[] = [
  { index: 0, from_step: 0, reason: "start", at: "2026-11-26T12:00:00Z" },
  { index: 1, from_step: 20, reason: "rollback", at: "2026-11-26T12:01:00Z" },
  { index: 2, from_step: 10, reason: "rollback", at: "2026-11-26T12:02:00Z" },
];
const part = (branch: number, step: number[]): Part => ({ branch, faded: true, bucket: 1, exact: true, nonFinite: [], columns: columnsOf({ step, x: step, mean: step.map((each) => each + 1000 * branch) }) });
const parts = [part(0, [5, 15, 25]), part(1, [21, 30]), part(2, [11, 12])];

it("knows which branch was in force when", () => {
  const at = (minute: number) => branchAt(branches, Date.parse("2026-11-26T12:00:30Z") + 60_000 * minute);
  expect([at(-1), at(0), at(1), at(9)]).toEqual([0, 0, 1, 2]);
  expect([branchAfter(branches, 0, 20), branchAfter(branches, 1, 10), branchAfter(branches, 1, 20)]).toEqual([1, 2, null]);
  expect(branchAt([], 0)).toBe(0);
});

it("puts the line of a moment together from what was not left behind by then", () => {
  const values = (last: number) => lineOf(parts, branches, last, 0, 100).map(([, y]) => y);
  expect(values(0)).toEqual([5, 15, 25]);
  expect(values(1)).toEqual([5, 15, 1021, 1030]);
  expect(values(2)).toEqual([5, 2011, 2012]);
  expect(lineOf(parts, branches, 0, 10, 20)).toEqual([[15, 15]]);
});
