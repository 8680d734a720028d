/** Which events of a run are told by a command or a reflex already: the same rule as training/api/told_once.py has for the marks of charts. */
import type { Command, RunEvent } from "../api/types";

const STATE_AFTER: Partial<Record<Command["verb"], string>> = { pause: "paused", resume: "running", stop: "stopping" };
const STOP_WITHIN = 60_000; // milliseconds: a job's stop asks its process and moves its run in one transaction

/** Ids of the roll backs that a process did by itself, and told why in the reflex that follows. */
export function toldByReflexes(events: readonly RunEvent[], told: ReadonlySet<number>): Set<number> {
  const found = new Set<number>();
  let back: RunEvent | null = null; // the last roll back that nobody asked for
  for (const event of [...events].sort((a, b) => a.id - b.id)) {
    const { reason, figures } = event.data as { reason?: unknown; figures?: { to_step?: unknown } };
    if (event.kind === "branch") back = reason === "rollback" && !told.has(event.id) ? event : null;
    else if (event.kind === "reflex" && event.new === "rolled_back") {
      if (back && (back.data as { from_step?: unknown }).from_step === figures?.to_step) found.add(back.id);
      back = null;
    }
  }
  return found;
}

/** Ids of the events that these commands made: of several alike each command has the nearest in time. */
export function toldByCommands(commands: readonly Command[], events: readonly RunEvent[]): Set<number> {
  const alike = new Map<string, RunEvent[]>();
  for (const event of events) {
    const key = keyOfEvent(event);
    const list = alike.get(key);
    if (list) list.push(event);
    else alike.set(key, [event]);
  }
  const told = new Set<number>();
  for (const command of [...commands].sort((a, b) => a.seq - b.seq)) {
    for (const { key, at, within } of keysOfCommand(command)) {
      const list = alike.get(key) ?? [];
      const far = (event: RunEvent) => Math.abs(Date.parse(event.at) - at);
      const nearest = list.reduce<RunEvent | null>((best, event) => (best && far(best) <= far(event) ? best : event), null);
      if (!nearest || far(nearest) > within) continue;
      list.splice(list.indexOf(nearest), 1);
      told.add(nearest.id);
    }
  }
  return told;
}

function keyOfEvent(event: RunEvent): string {
  const data = event.data as Record<string, unknown>;
  // What the process told has a step; what the site did has not.
  if (event.kind === "state") return JSON.stringify(["state", event.new, event.step ?? event.actor]);
  if (event.kind === "branch") return JSON.stringify(["branch", data.reason, data.from_step]);
  return JSON.stringify([event.kind, event.kind === "lineage" ? data.command : null]);
}

/** Keys of the events that it made, when, and how far from then they may be at most. */
function keysOfCommand({ verb, state, value, seq, asked_by, created_at, applied_at, applied_step }: Command): { key: string; at: number; within: number }[] {
  const stop = verb === "stop" ? [{ key: JSON.stringify(["state", "stopping", asked_by]), at: Date.parse(created_at), within: STOP_WITHIN }] : [];
  if (state !== "applied" || !applied_at) return stop;
  const made = (...keys: unknown[][]) => keys.map((key) => ({ key: JSON.stringify(key), at: Date.parse(applied_at), within: Infinity }));
  const after = STATE_AFTER[verb];
  if (after) return [...stop, ...made(["state", after, applied_step])];
  if (verb === "rollback") return made(["branch", "rollback", (value as { step?: unknown } | null)?.step]);
  if (verb === "adopt") return made(["branch", "adopt", applied_step], ["lineage", seq]);
  return stop;
}
