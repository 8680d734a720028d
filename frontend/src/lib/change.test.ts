import { describe, expect, it } from "vitest";
import type { Command, Decision, Effect, Tunable } from "../api/types";
import { draftsOf, historyOf, readDraft, stagesOf, stepPicture } from "./change";

const lr = { name: "lr", kind: "float", value: 0.1, initial: 0.2, low: 1e-6, high: 1, scale: "log", choices: [], changed_step: null, changed_by: "" } as unknown as Tunable;
const command = (fields: Partial<Command>): Command =>
  ({ seq: 1, verb: "set", tunable: "lr", value: 0.01, state: "pending", by_person: true, sent_at: null, applied_at: null, applied_step: null, at_step: null, acks: {}, asked_by: "ada", reason: "", ...fields }) as Command;

describe("a change before it is sent", () => {
  it.each([
    ["0.1", null],
    ["0.05", "0.1 → 0.05, ÷ 2"],
    ["0.3", "0.1 → 0.3, × 3"],
  ])("tells of %s against now", (typed, words) => expect(readDraft(lr, typed)?.words ?? null).toBe(words));

  it("warns beyond ten times, and not at ten", () => {
    expect(readDraft(lr, "0.01")?.warning).toBe("");
    expect(readDraft(lr, "0.009")?.warning).toContain("more than ten times");
  });

  it("refuses what is outside the bounds, with the bounds", () => {
    const draft = readDraft(lr, "7");
    expect(draft?.wrong).toContain("outside 1e-6 to 1");
    expect(draft?.words).toBe("");
    expect(readDraft(lr, "fast")?.wrong).toContain("not a number");
  });

  it("counts only what is another value than now, of settings that there are", () => {
    const size = { ...lr, name: "size", kind: "int", value: 64, low: 1, high: 512 } as Tunable;
    expect(draftsOf([lr, size], { size: "64", lr: "0.5", gone: "3" }).map(({ tunable, value }) => [tunable.name, value])).toEqual([["lr", 0.5]]);
    expect(draftsOf([lr, size], { size: "128", lr: "0.5" }).length).toBe(2);
  });

  it("names a trial of the controller that it would end", () => {
    const trial = { state: "applied", mode: "act", tunable: "lr", changes: [], judge_at_step: 1200 } as unknown as Decision;
    expect(readDraft(lr, "0.05", [trial])?.warning).toContain("until step 1,200");
    expect(readDraft(lr, "0.05", [{ ...trial, state: "judged" } as Decision])?.warning).toBe("");
  });
});

describe("a change on its way", () => {
  const words = (...of: Parameters<typeof stagesOf>) => stagesOf(...of).map(({ words, state }) => `${words}:${state}`);
  it("is asked, delivered, acknowledged, applied and measured", () => {
    expect(words(command({}), 1, undefined)).toEqual(["asked:done", "on its way:now", "applied:open", "effect:open"]);
    const applied = command({ state: "applied", sent_at: "x", applied_step: 1500, acks: { 0: { ok: true }, 1: { ok: true } } });
    expect(words(applied, 4, { judge_at_step: 1600, verdict: "" } as unknown as Effect)).toEqual([
      "asked:done", "delivered:done", "acknowledged by 2 of 4 ranks:now", "applied at step 1,500:done", "effect at step 1,600:now",
    ]);
    expect(words(applied, 1, { verdict: "better" } as unknown as Effect).at(-1)).toBe("effect measured:done");
  });
  it("waits for its step, is refused, or gives way", () => {
    expect(words(command({ state: "sent", sent_at: "x", at_step: 5000 }), 1, undefined)).toContain("waits for step 5,000:now");
    expect(words(command({ state: "rejected", sent_at: "x" }), 1, undefined)).toEqual(["asked:done", "delivered:done", "refused:bad"]);
    expect(words(command({ state: "superseded" }), 1, undefined)).toEqual(["asked:done", "replaced:bad"]);
  });
});

describe("the values that a setting had", () => {
  const past = historyOf(lr, [
    command({ seq: 2, state: "applied", applied_step: 200, applied_at: "2026-01-01T00:00:02Z", new_value: 0.1, reason: "slower" }),
    command({ seq: 1, state: "applied", applied_step: 100, applied_at: "2026-01-01T00:00:01Z", new_value: 0.4 }),
    command({ seq: 3, state: "rejected" }),
  ]);
  it("begin with the script's, and name who and why", () => {
    expect(past.map(({ step, value, by, why }) => [step, value, by, why])).toEqual([[0, 0.2, "the script", ""], [100, 0.4, "ada", ""], [200, 0.1, "ada", "slower"]]);
  });
  it("are drawn in steps up to now", () => {
    const picture = stepPicture(past, 400, true, 100, 40);
    expect(picture?.dots.map(({ x }) => x)).toEqual([25, 50]);
    expect(picture?.path.startsWith("M0 ")).toBe(true);
    expect(picture?.path.endsWith("H100")).toBe(true);
    expect(stepPicture(past.slice(0, 1), 400, true, 100, 40)).toBeNull();
  });
});
