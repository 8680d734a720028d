import { expect, it } from "vitest";
import type { Decision } from "../api/types";
import { choicesOf } from "./choices";

const set = (value: number) => [{ verb: "set", tunable: "lr", value, old_value: 0.01 }];
const belief = { action: "learning_rate x3", context: "sgd, start, quiet", verdicts: 12, better: 0.75, worse: 0.1, gain: 0.08, low: 0.02, high: 0.14, drawn: 0.1 };
const decision = {
  policy: "learning_rate", state: "judged", verb: "set", tunable: "lr", old_value: 0.01, new_value: 0.03, changes: set(0.03), decided_step: 300,
  expected: { metric: "loss", effect: -0.2, low: -0.4, high: 0, unit: "ratio" },
  forecast: { metric: "loss", steps: [300, 400], mean: [2, 1.5], low: [1.8, 1.2], high: [2.2, 2.2] },
  evidence: { belief },
} as unknown as Decision;
const among = (evidence: object, of: object = {}) => choicesOf({ ...decision, ...of, evidence: { belief, ...evidence } } as Decision);

it("tells what was taken beside leaving it alone", () => {
  expect(choicesOf(decision)).toEqual([
    { id: "taken", part: "taken", what: "lr 0.01 → 0.03", expected: "20 % lower (0 % to 40 % lower)", belief: "helps with 75 %, gain +8.3 % (+2 % to +15 %); 12 verdicts", why: "taken" },
    { id: "nothing", part: "nothing", what: "leave it alone", expected: "loss 1.5 (1.2 to 2.2) at step 400", belief: "", why: "the forecast that the change is judged against" },
  ]);
  expect(among({}, { state: "recorded" })[0].why).toBe("would be taken");
  expect(choicesOf({ ...decision, evidence: {} })).toEqual([]); // nothing was kept
});

it("tells of each other size what it would do, and why it was left", () => {
  const other = { ...belief, action: "learning_rate x10", verdicts: 0, drawn: -0.05, changes: set(0.1), expected: { effect: -0.5, low: -0.9, high: 0, unit: "ratio" }, rule: "draw", why: "…" };
  const told = (fields: object) => among({ alternatives: [{ ...other, ...fields }] })[1];
  expect(told({})).toEqual({ id: "other 0", part: "other", what: "lr 0.01 → 0.1", expected: "50 % lower (0 % to 90 % lower)", belief: "no verdict yet", why: "a gain of −4.9 % was drawn for it, +11 % for the one taken" });
  expect(told({ rule: "first", drawn: undefined }).why).toBe("no size has a verdict yet: the policy's first choice is taken");
  expect(told({ rule: "odds", drawn: 0.3 }).why).toBe("its chance of helping was drawn at 30 %: less often than not");
  expect(told({ rule: "later", drawn: 0.3 }).why).toBe("goes further than it must: the one taken was good enough, with 10 %");
  expect(among({ belief: { ...belief, verdicts: 0 }, alternatives: [{ ...other, rule: "later" }] })[1].why).toContain("has the benefit of the doubt");
  expect(told({ rule: "chance", drawn: 0.05 }).why).toBe("its chance of helping was drawn at 5 %, that of the one taken at 10 %");
  expect(told({ rule: "same" }).why).toBe("counts as the same size to what was learnt");
  expect(told({ rule: "new here", why: "said by a later server" }).why).toBe("said by a later server");
});

it("tells of a decision from before the sizes were kept what there is", () => {
  expect(among({ alternatives: [{ ...belief, action: "learning_rate x10", gain: 1.2 }] })[1]).toMatchObject({ what: "learning_rate x10", expected: "", why: "" });
});

it("tells what another policy wanted at that moment", () => {
  const overruled = [{ policy: "batch_size", changes: [{ verb: "set", tunable: "batch", value: 64, old_value: 32 }], expected: { metric: "_samples_per_second", effect: 0.5, low: 0, high: 0.9, unit: "ratio" }, why: "a rescue comes first" }];
  expect(among({ overruled })[1]).toMatchObject({ part: "overruled", what: "Batch size: batch 32 → 64", expected: "_samples_per_second 50 % higher (0 % to 90 % higher)", why: "another policy gave way: a rescue comes first" });
});

it("says of a rescue that what is broken was held to stay so", () => {
  const broken = { forecast: { metric: "loss", steps: [300, 400], mean: [2, 2], low: [1.8, 1.8], high: [2.2, 2.2], broken: true } };
  expect(among({}, broken)[1].why).toBe("what is broken was held to stay at its level since step 300");
  expect(among({}, { forecast: { metric: "loss", steps: [], mean: [], broken: true } })[1].expected).toBe("loss stays no number");
});
