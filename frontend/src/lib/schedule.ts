/** A schedule as a form holds it, as the server takes it, and in words. */
import type { Json, Schedule, Tunable } from "../api/types";
import { exact, integer } from "./format";
import { t } from "./i18n";
import { parseNumber } from "./scale";

export type Shape = "once" | "repeat" | "cosine";

/** What was typed, all as text. `how`: whether a factor or a value is meant, for once. */
export interface Form {
  shape: Shape;
  how: "factor" | "value";
  at: string;
  amount: string; // the factor, or the value
  every: string;
  until: string;
}

export interface Wanted {
  tunable: string;
  shape: Shape;
  at_step: number;
  value?: Json;
  factor?: number;
  every?: number;
  until_step?: number;
}

/** What a person begins with: half the value at a round step ahead. */
export function begin(tunable: Tunable, step: number | null): Form {
  const ahead = roundUp((step ?? 0) + Math.max(100, (step ?? 0) * 0.1));
  const numeric = tunable.kind === "float" || tunable.kind === "int";
  return { shape: "once", how: numeric ? "factor" : "value", at: String(ahead), amount: numeric ? "0.5" : JSON.stringify(tunable.value), every: String(Math.max(100, roundUp((ahead - (step ?? 0)) / 2))), until: String(roundUp(ahead * 2)) };
}

function roundUp(value: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 1);
  return Math.ceil(value / unit) * unit;
}

/** The request, or what is wrong by field. `shape` decides what is read. */
export function wantedOf(form: Form, tunable: Tunable, step: number | null): { wanted: Wanted | null; wrong: Record<string, string> } {
  const wrong: Record<string, string> = {};
  const whole = (name: string, text: string): number => {
    const value = Number(text.trim());
    if (text.trim() === "" || !Number.isInteger(value) || value < 0) wrong[name] = t("A step is a whole number.");
    return value;
  };
  const at = whole("at", form.at);
  if (!wrong.at && step !== null && at <= step) wrong.at = t("The run is at step {step} already.", { step: integer(step) });
  const wanted: Wanted = { tunable: tunable.name, shape: form.shape, at_step: at };
  const numeric = tunable.kind === "float" || tunable.kind === "int";
  if (!numeric) wanted.value = JSON.parse(form.amount) as Json;
  else {
    const amount = parseNumber(form.amount);
    const factor = form.shape === "repeat" || (form.shape === "once" && form.how === "factor");
    if (amount === null) wrong.amount = t("This is not a number. Write it like 0.001 or 1e-3.");
    else if (factor && (amount <= 0 || amount === 1)) wrong.amount = t("A factor is above 0 and not 1: 0.5 halves.");
    else if (factor) wanted.factor = amount;
    else wanted.value = amount;
  }
  if (form.shape !== "once") {
    wanted.until_step = whole("until", form.until);
    if (!wrong.until && !wrong.at && wanted.until_step <= at) wrong.until = t("It ends after it began.");
  }
  if (form.shape === "repeat") {
    wanted.every = whole("every", form.every);
    if (wanted.every === 0) wrong.every = t("A step is a whole number.");
  }
  return { wanted: Object.keys(wrong).length ? null : wanted, wrong };
}

/** "every 1,000 steps × 0.9 from step 5,000 to 20,000" */
export function scheduleWords({ shape, asked }: Pick<Schedule, "shape" | "asked">): string {
  const { at_step, factor, value, every, until_step, until_value } = asked as Record<string, number | undefined>;
  const step = integer(at_step);
  const to = factor === undefined ? exact(value) : `× ${exact(factor)}`;
  if (shape === "repeat") {
    const end = until_step === undefined ? t("until {value}", { value: exact(until_value) }) : t("to step {step}", { step: integer(until_step) });
    return t("every {n} steps {to}, from step {step} {end}", { n: integer(every), to, step, end });
  }
  if (shape === "cosine") return t("along a cosine to {value}, from step {step} to {end}", { value: exact(value), step, end: integer(until_step) });
  return t("{to} at step {step}", { to, step });
}

/** The request that plans what is left of a schedule anew; null of a curve that was begun, which would be another one. */
export function againOf({ tunable, shape, asked, changes }: Schedule): Wanted | null {
  const { next, made } = placeOf({ changes });
  if (!next || (shape === "cosine" && made > 0)) return null;
  return { ...(asked as Omit<Wanted, "tunable" | "shape">), tunable, shape: shape as Shape, at_step: next.at_step };
}

/** Where a schedule stands: how many of its changes were made, and the next. */
export function placeOf({ changes }: Pick<Schedule, "changes">): { made: number; of: number; next: Schedule["changes"][number] | null } {
  const next = changes.find(({ state }) => state === "pending" || state === "sent") ?? null;
  return { made: changes.filter(({ state }) => state === "applied").length, of: changes.length, next };
}
