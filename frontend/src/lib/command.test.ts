import { describe, expect, it } from "vitest";
import type { Command, Tunable } from "../api/types";
import { apartOf, fateOf, paceOf, refusal, stageOf, undoable, whatOf } from "./command";

const command = (changes: Partial<Command>) =>
  ({ verb: "set", tunable: "lr", value: 0.001, state: "applied", applied_step: 1200, old_value: 0.01, new_value: 0.001, message: "", ...changes }) as Command;

it.each([
  [{}, "lr to 0.001"], [{ verb: "rollback", value: { checkpoint: 3, step: 1200 } }, "Roll back to step 1,200"],
  [{ verb: "pause", value: null }, "Pause"], [{ verb: "action", tunable: "render sample" }, "render sample"],
])("%j asks for %s", (changes, text) => expect(whatOf(command(changes as Partial<Command>))).toBe(text));

it.each([
  [{}, "applied at step 1,200: 0.01 → 0.001"], [{ state: "rejected", message: "lr=9 is outside 0..1" }, "refused: lr=9 is outside 0..1"],
  [{ state: "expired", message: "" }, "not applied: the run ended first"], [{ state: "sent" }, "sent, waiting for the next step"],
])("%j ended as %s", (changes, text) => expect(fateOf(command(changes as Partial<Command>))).toBe(text));

it.each([
  [{ state: "pending" }, "asked", ""],
  [{ state: "sent", sent_at: "2026-01-01T00:00:00.012Z" }, "sent", "sent after 12 ms"],
  [{ sent_at: "2026-01-01T00:00:00.012Z", applied_at: "2026-01-01T00:00:01.500Z" }, "applied", "sent after 12 ms, applied after 1.5 s"],
  [{ state: "rejected", applied_at: "2026-01-01T00:00:00.180Z" }, "refused", "answered after 180 ms"],
])("%j stands at %s: %s", (changes, stage, pace) => {
  const made = command({ created_at: "2026-01-01T00:00:00Z", sent_at: null, applied_at: null, ...changes } as Partial<Command>);
  expect([stageOf(made.state), paceOf(made)]).toEqual([stage, pace]);
});

it.each([
  [{}, ""], [{ 0: { ok: true }, 1: { ok: true } }, ""],
  [{ 0: { ok: false, message: "rank 1: no" }, 1: { ok: false, message: "rank 1: no" } }, ""],
  [{ 0: { ok: true }, 10: { ok: false, message: "ten" }, 2: { ok: false, message: "no room" } }, "It holds in 1 of the 3 ranks that answered. Rank 2 refused: no room"],
  [{ 0: { ok: true }, 1: { ok: false, message: "" } }, "It holds in 1 of the 2 ranks that answered. Rank 1 refused: no reason was given"],
])("of the answers %j it says %j", (acks, words) => expect(apartOf(command({ acks } as Partial<Command>))).toBe(words));

describe("refusal", () => {
  const lr = { name: "lr", kind: "float", low: 1e-6, high: 1 } as Tunable;
  it.each([[0.5, ""], [1e-6, ""], [2, "lr=2 is outside 1e-6 to 1."], [null, "This is not a number. Write it like 0.001 or 1e-3."]])(
    "%s: %j", (value, words) => expect(refusal(lr, value)).toBe(words));

  it("wants whole numbers where the tunable is one", () =>
    expect(refusal({ ...lr, kind: "int", high: 10 }, 1.5)).toBe("lr takes whole numbers."));

  it("names the open end", () => expect(refusal({ ...lr, high: null }, 0)).toBe("lr=0 is outside 1e-6 to ….")) ;
});

describe("what can be taken back", () => {
  const set = (seq: number, tunable: string, old_value: number, new_value: number, group = "") => command({ seq, tunable, old_value, new_value, group, applied_at: `2026-01-01T00:00:0${seq}Z` });
  const now = (lr: number, batch: number) => [{ name: "lr", value: lr }, { name: "batch", value: batch }] as Tunable[];
  it("is the newest change of a setting, while it stands", () => {
    const made = [set(1, "lr", 0.1, 0.2), set(2, "lr", 0.2, 0.3)];
    expect([...undoable(made, now(0.3, 64))]).toEqual([2]);
    expect([...undoable(made, now(0.5, 64))]).toEqual([]);
  });
  it("is a group whole, or not at all", () => {
    const group = [set(1, "lr", 0.1, 0.2, "g"), set(2, "batch", 32, 64, "g")];
    expect([...undoable(group, now(0.2, 64))]).toEqual([1]);
    expect([...undoable([...group, set(3, "batch", 64, 128)], now(0.2, 128))]).toEqual([3]);
  });
});
