import { expect, it } from "vitest";
import type { Decision } from "../api/types";
import { didOf, evidenceOf, expectedOf, leadOf, verdictOf } from "./story";

const decision = {
  verb: "set", tunable: "lr", old_value: 0.3, new_value: 0.03, state: "judged", judge_at_step: 1300, verdict: "better",
  expected: { metric: "loss", effect: -0.4, low: -0.6, high: -0.1 }, measured: { metric: "loss", measured: 0.52, forecast: 8.7 },
} as unknown as Decision;

it("tells what was done, expected and found", () => {
  expect(didOf(decision)).toBe("lr 0.3 → 0.03");
  expect([leadOf(decision), leadOf({ ...decision, state: "proposed" })]).toEqual(["Did", "Proposes"]);
  expect(didOf({ ...decision, verb: "rollback", state: "proposed" })).toBe("roll back, lr 0.3 → 0.03");
  const changes = [{ verb: "rollback", value: { step: 1200 } }, { verb: "set", tunable: "lr", value: 0.03, old_value: 0.3 }];
  expect(didOf({ ...decision, changes })).toBe("roll back to step 1,200, then lr 0.3 → 0.03");
  expect(expectedOf(decision)).toBe("loss −0.4 (−0.6 to −0.1) by step 1,300, against leaving it alone");
  expect(expectedOf({ ...decision, expected: { metric: "loss", effect: -0.276, low: -0.55, high: 0.02, unit: "ratio" } })).toMatch(/^loss −27.6 % \(−55 % to \+2 %\) by step/);
  expect(verdictOf(decision)).toBe("loss is 0.52 where 8.7 was forecast without the change.");
  expect(verdictOf({ ...decision, measured: { sentence: "Fine." } })).toBe("Fine.");
  expect(expectedOf({ ...decision, expected: {} })).toBe("");
});

it("shows evidence as figures", () => {
  expect(evidenceOf({ window: [100, 1200], loss_now: 6.9, curve: [1, 2] })).toEqual([
    { name: "steps", value: "100 to 1,200" }, { name: "loss now", value: "6.9" },
  ]);
});
