import { expect, it } from "vitest";
import type { BulkAnswer, BulkRequest } from "../api/types";
import { say, throughAll } from "./bulk";

const answer = (done: number, left: number, next: number | null, refusals: BulkAnswer["refusals"] = []): BulkAnswer => ({
  done, changed: Array.from({ length: done }, (_, at) => `${next}-${at}`), unchanged: 0, refused: refusals.length, refusals, left, next, until: 99,
});

it("asks on until nothing is left, and never for runs that came meanwhile", async () => {
  const answers = [answer(2, 3, 7, [{ code: "x", name: "slow", reason: "it runs." }]), answer(2, 0, null)];
  const asked: BulkRequest[] = [];
  const told: number[] = [];
  const request: BulkRequest = { experiment: 1, action: "tag", tags: ["a"], matching: {}, expected: 5 };
  const outcome = await throughAll(request, async (each) => (asked.push(each), answers.shift()!), ({ done, of }) => told.push(done / of));
  expect(asked).toEqual([request, { ...request, after: 7, until: 99 }]);
  expect(told).toEqual([0.5, 1]);
  expect([outcome.done, outcome.changed.length]).toEqual([4, 4]);
  expect(say(outcome, "delete")).toBe("4 runs were deleted. Not “slow”: it runs.");
});

it("counts what else was refused", () =>
  expect(say({ done: 1, changed: [], refused: 3, first: { name: "x", reason: "no" } }, "stop")).toBe("1 run was asked to stop. Not “x”: no. And 2 more."));
