import { expect, it } from "vitest";
import type { BulkAnswer, BulkRequest } from "../api/types";
import type { Progress } from "./bulk";
import { Interrupted, say, secondsLeft, throughAll } from "./bulk";

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

it("goes on where the line broke, and counts what was done before it", async () => {
  const request: BulkRequest = { experiment: 1, action: "stop", matching: {}, expected: 5 };
  const line = [answer(2, 3, 7), new Error("The server cannot be reached."), answer(3, 0, null)];
  const asked: BulkRequest[] = [];
  const ask = async (each: BulkRequest) => {
    asked.push(each);
    const next = line.shift()!;
    if (next instanceof Error) throw next;
    return next;
  };
  const broken = await throughAll(request, ask, () => undefined).catch((error: unknown) => error as Interrupted);
  expect(broken).toBeInstanceOf(Interrupted);
  const { at, message } = broken as Interrupted;
  expect([at, message]).toEqual([{ done: 2, of: 5 }, "The server cannot be reached."]);
  const told: Progress[] = [];
  const outcome = await throughAll(request, ask, (next) => told.push(next), broken as Interrupted);
  expect(asked[2]).toEqual(asked[1]);
  expect([outcome.done, outcome.changed.length, told]).toEqual([5, 5, [{ done: 5, of: 5 }]]);
  await expect(throughAll(request, () => Promise.reject(new Error("no")), () => undefined)).rejects.not.toBeInstanceOf(Interrupted);
});

it.each([
  [{ done: 0, of: 900 }, 2, 0, 0], // before the first piece nobody knows
  [{ done: 200, of: 900 }, 2, 0, 7],
  [{ done: 400, of: 900 }, 2, 200, 5], // went on at 200
  [{ done: 900, of: 900 }, 9, 0, 0],
])("knows from %j after %d s since %d that %d s are left", (at, seconds, from, left) => expect(secondsLeft(at, seconds, from)).toBe(left));

it("counts what else was refused", () =>
  expect(say({ done: 1, changed: [], refused: 3, first: { name: "x", reason: "no" } }, "stop")).toBe("1 run was asked to stop. Not “x”: no. And 2 more."));
