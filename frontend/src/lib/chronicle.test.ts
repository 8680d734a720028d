import { expect, it } from "vitest";
import type { Checkpoint, Command, Decision, RunEvent } from "../api/types";
import { chronicle } from "./chronicle";

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const event = (id: number, second: number, more: Partial<RunEvent>) =>
  ({ id, at: at(second), step: null, kind: "state", old: "", new: "", reason: "", actor: "system", data: {}, ...more }) as RunEvent;
const command = { id: 7, verb: "set", tunable: "lr", value: 3, by_person: true, asked_by: "ada", state: "applied", created_at: at(2), applied_at: at(3), applied_step: 50, old_value: 0.1, new_value: 3, reason: "too slow" } as Command;
const decision = {
  id: 4, policy: "divergence", state: "judged", verb: "set", tunable: "lr", old_value: 3, new_value: 0.3, reason: "The loss exploded.", blocked_by: "", decided_step: 90,
  judge_at_step: 150, created_at: at(5), judged_at: at(9), verdict: "better", measured: { sentence: "The loss is 0.5 where 8 was forecast." },
} as unknown as Decision;
const checkpoint = { id: 1, step: 40, created_at: at(1), metrics: { loss: 0.61234 }, reason: "every 40 steps", available: true } as unknown as Checkpoint;

it("tells what happened newest first, and a decision twice: when made and when judged", () => {
  const told = chronicle({
    events: [event(1, 0, { old: "starting", new: "running" }), event(2, 4, { kind: "error", reason: "NaN", data: { traceback: "line 41" } }), event(3, 1, { kind: "checkpoint" })],
    commands: [command, { ...command, id: 8, by_person: false }], decisions: [decision], checkpoints: [checkpoint],
  });
  expect(told.map((each) => each.title)).toEqual(["It helped", "Did: lr 3 → 0.3", "Error", "lr to 3", "Checkpoint saved", "Running"]);
  expect(told[0].words).toBe("The loss is 0.5 where 8 was forecast.");
  expect(told[2].more).toBe("line 41");
  expect(told[3].words).toBe("applied at step 50: 0.1 → 3 · too slow");
  expect(told[4].words).toBe("every 40 steps · loss 0.6123");
  expect(told[5]).toMatchObject({ tone: "good", words: "was starting" });
});

it("tells a command and what it led to once, by the command, which says why", () => {
  const pause = { ...command, id: 9, seq: 2, verb: "pause", tunable: "", value: null, reason: "lunch" } as Command;
  const told = chronicle({
    events: [event(1, 3, { old: "running", new: "paused", step: 50, actor: "ada" }), event(2, 8, { old: "paused", new: "lost", reason: "silent" })],
    commands: [pause], decisions: [], checkpoints: [],
  });
  expect(told.map(({ id }) => id)).toEqual(["event:2", "command:9"]);
  expect(told[1].words).toContain("lunch");
  // So with what the controller had done, its second change too: the decision tells. A command that nothing tells of leaves its event.
  const own = { ...pause, by_person: false, asked_by: "controller:divergence" };
  const back = { ...own, id: 10, seq: 3, verb: "rollback", value: { step: 5 }, group: "g", applied_at: at(4) } as Command;
  const branch = event(3, 4, { kind: "branch", step: 60, data: { reason: "rollback", from_step: 5 } });
  const lower = { ...own, id: 11, seq: 4, verb: "set", tunable: "lr", group: "g" } as Command;
  const story = (decisions: Decision[]) => chronicle({ events: [branch], commands: [back, lower], decisions, checkpoints: [] }).map(({ id }) => id);
  expect(story([{ ...decision, command: 4 }])).toEqual(["decision:4:verdict", "decision:4"]);
  expect(story([])).toEqual(["event:3"]);
});
