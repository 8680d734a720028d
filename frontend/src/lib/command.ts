/** A command and its fate in words. */
import type { Command, Tunable } from "../api/types";
import { duration, exact, integer } from "./format";

export function whatOf(command: Command): string {
  const step = stepOf(command.value);
  switch (command.verb) {
    case "set": return `${command.tunable} to ${exact(command.value)}`;
    case "rollback": return step === null ? "Roll back" : `Roll back to step ${integer(step)}`;
    case "action": return command.tunable;
    default: return command.verb.charAt(0).toUpperCase() + command.verb.slice(1);
  }
}

function stepOf(value: unknown): number | null {
  const step = (value as { step?: unknown } | null)?.step;
  return typeof step === "number" ? step : null;
}

export function fateOf(command: Command): string {
  switch (command.state) {
    case "pending": return "waiting for its process";
    case "sent": return "sent, waiting for the next step";
    case "applied": {
      const at = command.applied_step === null ? "applied" : `applied at step ${integer(command.applied_step)}`;
      return command.verb === "set" ? `${at}: ${exact(command.old_value)} → ${exact(command.new_value)}` : at;
    }
    case "rejected": return `refused: ${command.message || "no reason was given"}`;
    case "expired": return `not applied: ${command.message || "the run ended first"}`;
    case "superseded": return "not sent: a newer change took its place";
    default: return command.state;
  }
}

/** The word on a command's badge: what has become of it so far. */
export const stageOf = (state: string): string => ({ pending: "asked", rejected: "refused" } as Record<string, string>)[state] ?? state;

/** How long its way took, as far as it has come: "sent after 12 ms, applied after 180 ms". */
export function paceOf(command: Command): string {
  const after = (at: string | null): string => (at ? duration(Math.max(0, Date.parse(at) - Date.parse(command.created_at)) / 1000) : "");
  const [sent, applied] = [after(command.sent_at), after(command.applied_at)];
  const fate = command.state === "rejected" ? "answered" : "applied";
  return [sent && `sent after ${sent}`, applied && `${fate} after ${applied}`].filter(Boolean).join(", ");
}

export const toneOf = (state: string): "good" | "bad" | "warn" | "accent" | "quiet" =>
  state === "applied" ? "good" : state === "rejected" ? "bad" : state === "pending" || state === "sent" ? "accent" : "quiet";

/** What is wrong with a value for a tunable, or "". The server and the process check again. */
export function refusal(tunable: Tunable, value: number | null): string {
  const { name, low, high, kind } = tunable;
  if (value === null) return "This is not a number. Write it like 0.001 or 1e-3.";
  if (kind === "int" && !Number.isInteger(value)) return `${name} takes whole numbers.`;
  if ((low !== null && value < low) || (high !== null && value > high)) {
    return `${name}=${exact(value)} is outside ${low === null ? "…" : exact(low)} to ${high === null ? "…" : exact(high)}.`;
  }
  return "";
}
