/** The controller's decisions in the words of the loop: saw, did, expected, and what came of it. */
import type { Decision, Json, Tunable } from "../api/types";
import { differenceWords, effectPhrase } from "./expectation";
import { exact, integer, number, percent } from "./format";
import { t, term } from "./i18n";
import { said } from "./said";
import { evidenceName } from "./policies";

export const didOf = (decision: Decision): string => changesWords(decision);

/** Everything a decision asks for, in order: "roll back to step 250, then lr 2 → 0.2". */
export function changesWords({ verb, tunable, old_value, new_value, changes }: Pick<Decision, "verb" | "tunable" | "old_value" | "new_value" | "changes">): string {
  if (changes?.length) return changes.map(changeOf).join(t(", then "));
  const change = tunable ? `${tunable} ${exact(old_value)} → ${exact(new_value)}` : "";
  if (verb === "set") return change;
  if (verb === "rollback") return change ? t("roll back, {change}", { change }) : t("roll back");
  return [term(verb), change].filter(Boolean).join(", ");
}

/** The word before what a decision did, or would do. */
export const leadOf = ({ state }: Decision): string =>
  ({ recorded: t("Would do"), proposed: t("Proposes"), blocked: t("Held back"), rejected: t("Rejected"), expired: t("Too late"), sent: t("Asked for") } as Record<string, string>)[state] ?? t("Did");

function changeOf({ verb, tunable, value, old_value }: NonNullable<Decision["changes"]>[number]): string {
  if (verb === "set") return `${tunable} ${old_value === undefined || old_value === null ? "" : `${exact(old_value)} `}→ ${exact(value)}`;
  const { step, run } = (value as { step?: unknown; run?: unknown } | null) ?? {};
  if (verb === "adopt") return typeof run === "string" && typeof step === "number" ? t("take over the state of run {run} at step {step}", { run, step: integer(step) }) : t("take over another run's state");
  if (verb === "rollback") return typeof step === "number" ? t("roll back to step {step}", { step: integer(step) }) : t("roll back");
  return [term(verb), tunable].filter(Boolean).join(" ");
}

/** What was promised, and for when; "" where nothing was. */
export function expectedOf(decision: Decision): string {
  const { metric } = decision.expected;
  const effect = effectPhrase(decision.expected);
  if (!metric || !effect) return "";
  const from = decision.applied_step ?? decision.decided_step;
  const steps = decision.judge_at_step - from;
  return t("{metric} {effect} than if left alone, {n} steps on, at step {step}", { metric, effect, n: integer(steps), step: integer(decision.judge_at_step) });
}

/** Whether a decision changed nothing: it was in the shadow, held back, or not approved. What came is what comes without it. */
export const isUntouched = (state: string): boolean => ["recorded", "blocked", "rejected", "expired", "proposed"].includes(state);

/** What was measured, in a sentence; the server's own where there is more to say than figures. */
export function verdictOf({ verdict, measured, state = "" }: Pick<Decision, "measured"> & { verdict?: string; state?: string }): string {
  const { metric, measured: found, forecast, low, high, difference, sentence } = measured as Record<string, unknown>;
  const figures = [found, forecast].every((value) => typeof value === "number") && typeof metric === "string";
  if (!figures) return typeof sentence === "string" ? said(sentence) : typeof found === "number" ? t("{metric} is {found}.", { metric: typeof metric === "string" ? metric : t("It"), found: number(found) }) : "";
  const values = { metric, found: number(found as number), forecast: number(forecast as number) };
  if (isUntouched(state) && typeof low === "number" && typeof high === "number") return t("{metric} was {found} where {forecast} was forecast ({low} to {high}). Nothing was changed.", { ...values, low: number(low), high: number(high) });
  if (isUntouched(state)) return t("{metric} is {found} where {forecast} was forecast. Nothing was changed.", values);
  const told = typeof low === "number" && typeof high === "number"
    ? t("{metric} was {found} where {forecast} was forecast without the change ({low} to {high}).", { ...values, low: number(low), high: number(high) })
    : t("{metric} is {found} where {forecast} was forecast without the change.", values);
  const size = isRatio(measured) && typeof difference === "number" && (verdict === "better" || verdict === "worse") ? t("That is {difference}.", { difference: differenceWords(difference) }) : "";
  return [told, size].filter(Boolean).join(" ");
}

/** Whether a difference is a share of the forecast, and not one in the metric's own unit. */
function isRatio({ measured, forecast, difference }: Decision["measured"]): boolean {
  return typeof measured === "number" && typeof forecast === "number" && typeof difference === "number" && forecast > 0 && Math.abs(measured / forecast - 1 - difference) < 0.2 * Math.max(0.05, Math.abs(difference));
}

/** How far outside of chance a verdict lies: the difference against the half of the 90 % interval on that side. */
export function surenessOf({ verdict, measured }: Pick<Decision, "measured" | "verdict">): string {
  const { measured: found, forecast, low, high } = measured as Record<string, unknown>;
  if (![found, forecast, low, high].every((value) => typeof value === "number") || !verdict) return "";
  const [y, f, l, h] = [found, forecast, low, high] as number[];
  const to = [y, f, l, h].every((value) => value > 0) ? Math.log : (value: number) => value;
  const half = Math.abs(to(y > f ? h : l) - to(f));
  if (!(half > 0)) return "";
  const times = Math.abs(to(y) - to(f)) / half;
  if (times > 1 && number(times, 2) === "1") return t("as far from the forecast as chance goes in nine cases of ten");
  return times > 1
    ? t("{n} times as far from the forecast as chance goes in nine cases of ten", { n: number(times, 2) })
    : t("within what chance gives in nine cases of ten");
}

/** Whether what was promised came; "" where the promise and the measurement are not of one kind. */
export function keptWords({ expected, measured, verdict, forecast, state }: Decision): string {
  if (isUntouched(state)) return ""; // what was promised was promised of a change
  const { effect, low, high, unit = "ratio" } = expected;
  const { difference, metric } = measured as { difference?: unknown; metric?: unknown };
  if (typeof difference !== "number" || typeof low !== "number" || typeof high !== "number" || !(effect || low || high) || unit !== "ratio" || !isRatio(measured) || metric !== expected.metric || !verdict) return "";
  if (difference >= low && difference <= high) return t("within what was expected");
  const more = forecast.direction === "max" ? difference > high : difference < low;
  return more ? t("more than was expected") : t("less than was expected");
}

// How the figures beside it were reckoned or chosen, no figure of what was seen.
const NO_EVIDENCE = new Set(["unit", "belief", "alternatives", "overruled"]);
const PICTURED = new Set(["onset_step", "checkpoint_step", "changed_step", "value_before"]); // marks of the picture, and in the reason
const SHARES = new Set(["progress", "progress_low", "progress_high", "noise"]);

/** Evidence as short pairs; the window as steps. What is no plain figure is left to the reason. */
export function evidenceOf(evidence: Record<string, Json>): { name: string; value: string }[] {
  return Object.entries(evidence).flatMap(([name, value]) => {
    if (NO_EVIDENCE.has(name) || PICTURED.has(name)) return [];
    if (name === "window" && Array.isArray(value)) return [{ name: t("steps"), value: t("{from} to {to}", { from: integer(Number(value[0])), to: integer(Number(value[1])) }) }];
    if (typeof value === "number") return [{ name: evidenceName(name), value: evidence.unit === "log" && SHARES.has(name) ? percent(value) : number(value) }];
    if (typeof value === "string" || typeof value === "boolean") return [{ name: evidenceName(name), value: typeof value === "string" ? term(value) : exact(value) }];
    return [];
  });
}

export const verdictTone = (decision: Decision): "good" | "bad" | "warn" | "accent" | "quiet" => {
  if (decision.state === "proposed") return "warn";
  if (decision.state === "blocked" || decision.state === "rejected" || decision.state === "expired" || decision.state === "recorded") return "quiet";
  if (decision.verdict === "better") return "good";
  if (decision.verdict === "worse") return "bad";
  return decision.verdict ? "quiet" : "accent";
};

/** Whether a person can take a decision's settings back now, and in words what that does or why not; "" where it never could. */
export function undoOf(decision: Decision, tunables: readonly Tunable[] | null | undefined): { can: boolean; words: string } {
  if ((decision.state !== "applied" && decision.state !== "judged") || decision.mode === "shadow") return { can: false, words: "" };
  if (decision.verb === "rescale" || decision.verb === "compile") return { can: true, words: "" };
  const sets = (decision.changes ?? []).filter(({ verb }) => verb === "set");
  if (!sets.length) return { can: false, words: decision.verb === "rollback" ? t("A roll back is taken back by a roll back to another checkpoint.") : "" };
  const other = sets.find(({ tunable, value }) => !same(tunables?.find(({ name }) => name === tunable)?.value, value));
  if (other && tunables) return { can: false, words: t("{name} was set again since, so there is nothing to undo here.", { name: other.tunable }) };
  const back = sets.map(({ tunable, old_value }) => t("{name} to {value}", { name: tunable, value: exact(old_value) })).join(", ");
  return { can: true, words: t("sets {changes} again", { changes: back }) };
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
