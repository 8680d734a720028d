import { expect, it } from "vitest";
import type { Decision } from "../api/types";
import { beliefOf, didOf, evidenceOf, expectedOf, leadOf, verdictOf } from "./story";

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

it("tells what was believed of a change and of those it was chosen among", () => {
  const belief = { action: "learning_rate x3", context: "adam, small, start, quiet", verdicts: 12, better: 0.75, worse: 0.1, gain: 0.08, low: 0.02, high: 0.14 };
  expect(beliefOf({ belief, alternatives: [{ ...belief, action: "learning_rate x10", gain: -0.1, low: -0.3, high: 0.1 }] })).toEqual({
    words: "learning_rate x3 in runs like this one (adam, small, start, quiet), after 12 verdicts: helps with 75 %, gain +8 % (+2 % to +14 %)",
    others: ["learning_rate x10: gain −10 % (−30 % to +10 %)"],
  });
  expect(beliefOf({ belief: { ...belief, verdicts: 0 } })?.words).toContain("Nothing has been learnt of learning_rate x3 yet");
  expect([beliefOf({}), beliefOf({ belief: "odd" }), evidenceOf({ belief, alternatives: [] })]).toEqual([null, null, []]);
});

it("names the run whose state is taken over", () => {
  const changes = [{ verb: "adopt", value: { run: "abc", checkpoint: 3, step: 1200 } }, { verb: "set", tunable: "lr", value: 0.04, old_value: 0.05 }];
  expect(didOf({ ...decision, verb: "adopt", changes })).toBe("take over the state of run abc at step 1,200, then lr 0.05 → 0.04");
});
