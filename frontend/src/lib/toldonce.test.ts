import { expect, it } from "vitest";
import type { Command, RunEvent } from "../api/types";
import { toldByCommands, toldByReflexes } from "./toldonce";

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const event = (id: number, second: number, more: Partial<RunEvent>) =>
  ({ id, at: at(second), step: null, kind: "state", old: "", new: "", reason: "", actor: "the process", data: {}, ...more }) as RunEvent;
const command = (seq: number, second: number, more: Partial<Command>) =>
  ({ id: seq, seq, verb: "pause", value: null, asked_by: "ada", state: "applied", created_at: at(second), applied_at: at(second), applied_step: 10, ...more }) as Command;

it("takes the state, branch or lineage that a command led to for told, and no other", () => {
  const events = [
    event(1, 3, { new: "paused", step: 10 }),
    event(2, 5, { new: "running", step: 10 }),
    event(3, 6, { new: "running" }), // its process connected, which nobody asked for
    event(4, 8, { kind: "branch", step: 40, data: { reason: "rollback", from_step: 5 } }),
    event(5, 30, { kind: "branch", step: 45, data: { reason: "rollback", from_step: 5 } }), // by itself
    event(6, 31, { kind: "branch", step: 50, data: { reason: "adopt", from_step: 50 } }),
    event(7, 31, { kind: "lineage", data: { command: 4 } }),
    event(8, 40, { new: "stopping", actor: "ada" }),
    event(9, 41, { new: "paused", step: 11 }), // by the script
    event(10, 42, { kind: "error", reason: "NaN" }),
  ];
  const commands = [
    command(1, 3, {}), command(2, 5, { verb: "resume" }), command(3, 8, { verb: "rollback", value: { step: 5 }, applied_step: 40 }),
    command(4, 31, { verb: "adopt", applied_step: 50 }), command(5, 40, { verb: "stop", state: "pending", applied_at: null, applied_step: null }),
  ];
  expect([...toldByCommands(commands, events)].sort((a, b) => a - b)).toEqual([1, 2, 4, 6, 7, 8]);
});

it("keeps what a command that was refused, or a stop long ago, did not do", () => {
  const events = [event(1, 3, { new: "paused", step: 10 }), event(2, 300, { new: "stopping", actor: "ada" })];
  const commands = [command(1, 3, { state: "rejected", applied_at: null, applied_step: null }), command(2, 1, { verb: "stop", state: "expired", applied_at: null, applied_step: null })];
  expect(toldByCommands(commands, events).size).toBe(0);
});

it("takes a roll back for told by the reflex that did it, and by no other", () => {
  const events = [
    event(1, 1, { kind: "branch", data: { reason: "rollback", from_step: 5 } }),
    event(2, 2, { kind: "reflex", new: "rolled_back", data: { figures: { to_step: 5 } } }),
    event(3, 3, { kind: "branch", data: { reason: "rollback", from_step: 8 } }),
    event(4, 4, { kind: "reflex", new: "rolled_back", data: { figures: { to_step: 7 } } }),
    event(5, 5, { kind: "branch", data: { reason: "rollback", from_step: 9 } }),
    event(6, 6, { kind: "reflex", new: "rolled_back", data: { figures: { to_step: 9 } } }),
  ];
  expect([...toldByReflexes(events, new Set([5]))]).toEqual([1]);
});
