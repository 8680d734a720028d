/** A command and its fate in words. */
import type { Command, Tunable } from "../api/types";
import { duration, exact, integer } from "./format";
import { t, term } from "./i18n";
import { said } from "./said";

export function whatOf(command: Command): string {
  const step = stepOf(command.value);
  switch (command.verb) {
    case "set": return t("{name} to {value}", { name: command.tunable, value: exact(command.value) });
    case "rollback": return step === null ? t("Roll back") : t("Roll back to step {step}", { step: integer(step) });
    case "action": return command.tunable;
    case "cancel": return t("Let go of what was planned");
    default: {
      const word = term(command.verb);
      return word.charAt(0).toUpperCase() + word.slice(1);
    }
  }
}

function stepOf(value: unknown): number | null {
  const step = (value as { step?: unknown } | null)?.step;
  return typeof step === "number" ? step : null;
}

export function fateOf(command: Command): string {
  switch (command.state) {
    case "pending": return t("waiting for its process");
    case "sent": return typeof command.at_step === "number" ? t("sent, waiting for step {step}", { step: integer(command.at_step) }) : t("sent, waiting for the next step");
    case "applied": {
      const at = command.applied_step === null ? t("applied") : t("applied at step {step}", { step: integer(command.applied_step) });
      return command.verb === "set" ? `${at}: ${exact(command.old_value)} → ${exact(command.new_value)}` : at;
    }
    case "rejected": return t("refused: {why}", { why: said(command.message) || t("no reason was given") });
    case "expired": return t("not applied: {why}", { why: said(command.message) || t("the run ended first") });
    case "superseded": return command.message.startsWith("let go of") ? t("not applied: {why}", { why: said(command.message) }) : t("not sent: a newer change took its place");
    default: return term(command.state);
  }
}

/** Where the ranks of a run did not answer alike: in how many a change holds, who refused it, and why. Else "". */
export function apartOf(command: Command): string {
  const answers = Object.entries((command.acks ?? {}) as Record<string, { ok: boolean; message?: string }>);
  const refused = answers.filter(([, { ok }]) => !ok).sort(([a], [b]) => Number(a) - Number(b));
  if (!refused.length || refused.length === answers.length) return "";
  const [rank, { message }] = refused[0];
  return t("It holds in {k} of the {n} ranks that answered. Rank {rank} refused: {why}", { k: answers.length - refused.length, n: answers.length, rank, why: said(message) || t("no reason was given") });
}

/** The word on a command's badge: what has become of it so far. */
export const stageOf = (state: string): string => ({ pending: "asked", rejected: "refused" } as Record<string, string>)[state] ?? state;

/** How long its way took, as far as it has come: "sent after 12 ms, applied after 180 ms". */
export function paceOf(command: Command): string {
  const after = (at: string | null): string => (at ? duration(Math.max(0, Date.parse(at) - Date.parse(command.created_at)) / 1000) : "");
  const [sent, applied] = [after(command.sent_at), after(command.applied_at)];
  if (typeof command.at_step === "number") return ""; // what waits for its step is not slow
  const fate = applied && (command.state === "rejected" ? t("answered after {time}", { time: applied }) : t("applied after {time}", { time: applied }));
  return [sent && t("sent after {time}", { time: sent }), fate].filter(Boolean).join(", ");
}

export const toneOf = (state: string): "good" | "bad" | "warn" | "accent" | "quiet" =>
  state === "applied" ? "good" : state === "rejected" ? "bad" : state === "pending" || state === "sent" ? "accent" : "quiet";

/** What is wrong with a value for a tunable, or "". The server and the process check again. */
export function refusal(tunable: Tunable, value: number | null): string {
  const { name, low, high, kind } = tunable;
  if (value === null) return t("This is not a number. Write it like 0.001 or 1e-3.");
  if (kind === "int" && !Number.isInteger(value)) return t("{name} takes whole numbers.", { name });
  if ((low !== null && value < low) || (high !== null && value > high)) {
    return t("{name}={value} is outside {low} to {high}.", { name, value: exact(value), low: low === null ? "…" : exact(low), high: high === null ? "…" : exact(high) });
  }
  return "";
}

/** The numbers of the changes that can be taken back: the newest of each setting, while it stands as that change left it. */
export function undoable(commands: readonly Command[], tunables: readonly Tunable[]): Set<number> {
  const found = new Set<number>();
  const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
  const stands = (command: Command): boolean => {
    const tunable = tunables.find(({ name }) => name === command.tunable);
    return !!tunable && same(tunable.value, command.new_value) && command.old_value !== null && !same(command.old_value, command.new_value);
  };
  const sets = commands.filter(({ verb, state }) => verb === "set" && state === "applied");
  const newest = new Map<string, Command>();
  for (const command of sets) if ((newest.get(command.tunable)?.applied_at ?? "") < (command.applied_at ?? "")) newest.set(command.tunable, command);
  for (const command of newest.values()) {
    const whole = command.group ? sets.filter(({ group }) => group === command.group) : [command];
    // A group goes back whole: its button is on the first of it.
    if (whole.every((each) => newest.get(each.tunable) === each && stands(each))) found.add(Math.min(...whole.map(({ seq }) => seq)));
  }
  return found;
}
