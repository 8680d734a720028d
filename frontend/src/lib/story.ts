/** The controller's decisions in the words of the loop: saw, did, expected, and what came of it. */
import type { Decision, Json } from "../api/types";
import { exact, integer, number, percent } from "./format";
import { plural, t, term } from "./i18n";

export function didOf(decision: Decision): string {
  const { verb, tunable, old_value, new_value } = decision;
  const change = tunable ? `${tunable} ${exact(old_value)} → ${exact(new_value)}` : "";
  const words = decision.changes && decision.changes.length > 1 ? decision.changes.map(changeOf).join(t(", then ")) : verb === "set" ? change : verb === "rollback" ? (change ? t("roll back, {change}", { change }) : t("roll back")) : [term(verb), change].filter(Boolean).join(", ");
  return words;
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

export function expectedOf(decision: Decision): string {
  const { metric, effect, low, high, unit } = decision.expected;
  const share = unit === "ratio"; // of the metric without the change
  const signed = share ? signedPercent : signedNumber;
  if (!metric || typeof effect !== "number") return "";
  const span = typeof low === "number" && typeof high === "number" ? ` (${t("{low} to {high}", { low: signed(low), high: signed(high) })})` : "";
  return t("{metric} {effect} by step {step}, against leaving it alone", { metric, effect: `${signed(effect)}${span}${unit && !share ? ` ${unit}` : ""}`, step: integer(decision.judge_at_step) });
}

/** What was measured, in a sentence; the server's own where it wrote one. */
export function verdictOf(decision: Decision): string {
  const { measured } = decision;
  for (const name of ["sentence", "text", "words", "summary"]) if (typeof measured[name] === "string") return measured[name] as string;
  if (typeof measured.measured !== "number") return "";
  const metric = typeof measured.metric === "string" ? measured.metric : t("It");
  const found = number(measured.measured);
  return typeof measured.forecast === "number"
    ? t("{metric} is {found} where {forecast} was forecast without the change.", { metric, found, forecast: number(measured.forecast) })
    : t("{metric} is {found}.", { metric, found });
}

/** Evidence as short pairs; the window as steps. What is no plain figure is left to the reason. */
export function evidenceOf(evidence: Record<string, Json>): { name: string; value: string }[] {
  return Object.entries(evidence).flatMap(([name, value]) => {
    const words = name.replaceAll("_", " ");
    if (name === "unit" || name === "belief" || name === "alternatives") return []; // how the figures beside it were reckoned, no figure itself
    if (name === "window" && Array.isArray(value)) return [{ name: t("steps"), value: t("{from} to {to}", { from: integer(Number(value[0])), to: integer(Number(value[1])) }) }];
    if (typeof value === "number") return [{ name: words, value: number(value) }];
    if (typeof value === "string" || typeof value === "boolean") return [{ name: words, value: exact(value) }];
    return [];
  });
}

interface Believed {
  action: string;
  context: string;
  verdicts: number;
  better: number;
  gain: number;
  low: number;
  high: number;
}

const isBelief = (value: Json): value is Believed => {
  const found = value as Partial<Believed> | null;
  return typeof found === "object" && found !== null && typeof found.action === "string" && typeof found.verdicts === "number" && typeof found.gain === "number";
};

/** What was believed of the change when it was decided, and of the other sizes it was chosen among. */
export function beliefOf(evidence: Record<string, Json>): { words: string; others: string[] } | null {
  const { belief, alternatives } = evidence;
  if (!isBelief(belief)) return null;
  const others = Array.isArray(alternatives) ? alternatives.filter(isBelief) : [];
  return { words: believed(belief), others: others.map((other) => `${other.action}: ${gainOf(other)}`) };
}

function believed(belief: Believed): string {
  if (!belief.verdicts) return t("Nothing has been learnt of {action} yet; this is its first trial.", { action: belief.action });
  const known = plural(belief.verdicts, "{n} verdict", "{n} verdicts");
  return t("{action} in runs like this one ({context}), after {known}: helps with {chance}, {gain}", { action: belief.action, context: belief.context, known, chance: percent(belief.better), gain: gainOf(belief) });
}

const gainOf = ({ gain, low, high }: Believed): string => t("gain {gain} ({low} to {high})", { gain: signedPercent(gain), low: signedPercent(low), high: signedPercent(high) });

// A true minus, which is as wide as the plus.
const signedNumber = (value: number): string => (value > 0 ? `+${number(value)}` : number(value).replace("-", "−"));
const signedPercent = (value: number): string => (value > 0 ? `+${percent(value)}` : percent(value).replace("-", "−"));

export const verdictTone = (decision: Decision): "good" | "bad" | "warn" | "accent" | "quiet" => {
  if (decision.state === "proposed") return "warn";
  if (decision.state === "blocked" || decision.state === "rejected" || decision.state === "expired" || decision.state === "recorded") return "quiet";
  if (decision.verdict === "better") return "good";
  if (decision.verdict === "worse") return "bad";
  return decision.verdict ? "quiet" : "accent";
};
