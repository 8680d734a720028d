import { expect, it } from "vitest";
import type { Decision, Tunable } from "../api/types";
import { didOf, evidenceOf, expectedOf, keptWords, leadOf, surenessOf, undoOf, verdictOf } from "./story";

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
  expect(expectedOf({ ...decision, applied_step: 1200, expected: { metric: "loss", effect: -0.276, low: -0.55, high: 0.02, unit: "ratio" } })).toBe("loss 28 % lower (55 % lower to 2 % higher) than if left alone, 100 steps on, at step 1,300");
  expect(expectedOf({ ...decision, expected: { metric: "_samples_per_second", effect: 0, low: 0, high: 0, unit: "ratio" } })).toBe(""); // nothing is promised
  expect(verdictOf(decision)).toBe("loss is 0.52 where 8.7 was forecast without the change.");
  expect(verdictOf({ ...decision, measured: { sentence: "Fine." } })).toBe("Fine.");
  expect(expectedOf({ ...decision, expected: {} })).toBe("");
});

it("shows evidence as figures", () => {
  expect(evidenceOf({ window: [100, 1200], loss_now: 6.9, curve: [1, 2] })).toEqual([
    { name: "steps", value: "100 to 1,200" }, { name: "loss now", value: "6.9" },
  ]);
  expect(evidenceOf({ onset_step: 305, progress: 0.06, unit: "log", belief: { action: "x" }, alternatives: [], overruled: [] })).toEqual([
    { name: "fall over these steps", value: "6 %" },
  ]);
});

it("says how sure a verdict is, and whether it came as expected", () => {
  const measured = { metric: "loss", measured: 0.5, forecast: 1, low: 0.8, high: 1.25, difference: -0.5 };
  const judged = { ...decision, measured, forecast: { metric: "loss", direction: "min" }, expected: { metric: "loss", effect: -0.3, low: -0.4, high: 0, unit: "ratio" } } as Decision;
  expect(verdictOf(judged)).toBe("loss was 0.5 where 1 was forecast without the change (0.8 to 1.25). That is 50 % lower.");
  const left = { ...judged, state: "recorded" } as Decision; // in the shadow
  expect(verdictOf(left)).toBe("loss was 0.5 where 1 was forecast (0.8 to 1.25). Nothing was changed.");
  expect(verdictOf({ ...left, measured: { metric: "loss", measured: 0.5, forecast: 1 } })).toBe("loss is 0.5 where 1 was forecast. Nothing was changed.");
  expect(keptWords(left)).toBe("");
  expect(surenessOf(judged)).toBe("3.1 times as far from the forecast as chance goes in nine cases of ten");
  expect(surenessOf({ ...judged, measured: { ...measured, measured: 0.798 } })).toBe("as far from the forecast as chance goes in nine cases of ten");
  expect(surenessOf({ ...judged, measured: { ...measured, measured: 0.95 } })).toBe("within what chance gives in nine cases of ten");
  expect(surenessOf({ ...judged, measured: { sentence: "Too few points." } })).toBe("");
  expect(keptWords(judged)).toBe("more than was expected");
  expect(keptWords({ ...judged, expected: { ...judged.expected, low: -0.6 } })).toBe("within what was expected");
  expect(keptWords({ ...judged, expected: { metric: "loss", effect: 0, low: 0, high: 0 } })).toBe(""); // nothing was promised
  expect(verdictOf({ ...judged, verdict: "worse", measured: { ...measured, measured: 7, difference: 6 } })).toContain("That is 7 times as much.");
});

it("offers to undo what stands as the decision left it, and says why it does not", () => {
  const changes = [{ verb: "rollback", value: { step: 1200 } }, { verb: "set", tunable: "lr", value: 0.03, old_value: 0.3 }];
  const judged = { ...decision, changes };
  const lr = (value: number) => [{ name: "lr", value }] as unknown as Tunable[];
  expect(undoOf(judged, lr(0.03))).toEqual({ can: true, words: "sets lr to 0.3 again" });
  expect(undoOf(judged, lr(0.1))).toEqual({ can: false, words: "lr was set again since, so there is nothing to undo here." });
  expect(undoOf({ ...judged, changes: changes.slice(0, 1), verb: "rollback" }, lr(0.03)).words).toContain("taken back by a roll back");
  expect(undoOf({ ...judged, state: "undone" }, lr(0.03))).toEqual({ can: false, words: "" });
});

it("names the run whose state is taken over", () => {
  const changes = [{ verb: "adopt", value: { run: "abc", checkpoint: 3, step: 1200 } }, { verb: "set", tunable: "lr", value: 0.04, old_value: 0.05 }];
  expect(didOf({ ...decision, verb: "adopt", changes })).toBe("take over the state of run abc at step 1,200, then lr 0.05 → 0.04");
});
