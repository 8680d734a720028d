/** A change of settings before it is sent (what it is against now, what to be careful of) and on its way. */
import type { Command, Decision, Effect, Json, Tunable } from "../api/types";
import { refusal } from "./command";
import { exact, integer } from "./format";
import { t } from "./i18n";
import { parseNumber } from "./scale";

const LARGE = 10; // times as much, or a tenth: more is seldom meant

/** A change as it stands in the page's fields. */
export interface Draft {
  tunable: Tunable;
  value: Json;
  wrong: string; // why it cannot be sent, or ""
  words: string; // "0.1 → 0.05, a half"
  warning: string; // what to think of before it is sent, or ""
}

/** What a person typed for a tunable; null where that is what it is already. Menus and switches hold JSON. */
export function readDraft(tunable: Tunable, typed: string, decisions: readonly Decision[] = []): Draft | null {
  const numeric = tunable.kind === "float" || tunable.kind === "int";
  const value: Json = numeric ? parseNumber(typed) : JSON.parse(typed);
  if (same(value, tunable.value)) return null;
  const wrong = numeric ? refusal(tunable, value as number | null) : "";
  const times = numeric && !wrong ? factorOf(Number(tunable.value), Number(value)) : null;
  return {
    tunable, value, wrong,
    words: wrong ? "" : [`${exact(tunable.value)} → ${exact(value)}`, times === null ? "" : factorWords(times)].filter(Boolean).join(", "),
    warning: wrong ? "" : [largeWords(times), openTrial(tunable.name, decisions)].filter(Boolean).join(" "),
  };
}

/** All that is drafted, in the order of the controls; what was typed back to what it is, is no change. */
export const draftsOf = (tunables: readonly Tunable[], typed: Record<string, string>, decisions?: readonly Decision[]): Draft[] =>
  tunables.flatMap((tunable) => (tunable.name in typed ? (readDraft(tunable, typed[tunable.name], decisions) ?? []) : []));

const same = (a: Json, b: Json): boolean => JSON.stringify(a) === JSON.stringify(b);

/** How many times as much; null where a factor has no meaning. */
export const factorOf = (old: number, now: number): number | null => (old > 0 && now > 0 ? now / old : null);

export function factorWords(times: number): string {
  if (times >= 1) return t("× {n}", { n: short(times) });
  return t("÷ {n}", { n: short(1 / times) });
}

const short = (value: number): string => exact(Number(value.toPrecision(3)));

const largeWords = (times: number | null): string =>
  times !== null && (times > LARGE * 1.001 || times < 1 / (LARGE * 1.001)) ? t("That is more than ten times. The controller would not go so far at once.") : "";

/** Whether the controller tries something with the setting now: a hand ends the trial without a verdict. */
function openTrial(name: string, decisions: readonly Decision[]): string {
  const open = decisions.find(({ state, mode, changes, tunable }) => (state === "sent" || state === "applied") && mode !== "shadow" && (tunable === name || !!changes?.some((change) => change.tunable === name)));
  return open ? t("The controller is trying {name} now, until step {step}. Your change ends its trial without a verdict.", { name, step: integer(open.judge_at_step) }) : "";
}

export interface Stage {
  words: string;
  state: "done" | "now" | "open" | "bad";
}

/** The way of a command from the click to its effect: asked, delivered, acknowledged by k of n ranks, applied, measured. */
export function stagesOf(command: Command, ranks: number, effect: Effect | undefined): Stage[] {
  const { state, at_step } = command;
  const refused = state === "rejected";
  const over = state === "expired" || state === "superseded";
  const delivered = command.sent_at !== null;
  const applied = state === "applied";
  const answers = Object.values((command.acks ?? {}) as Record<string, { ok: boolean }>);
  const stages: Stage[] = [{ words: t("asked"), state: "done" }];
  if (over && !delivered) return [...stages, { words: endWords(state), state: "bad" }];
  stages.push({ words: delivered ? t("delivered") : t("on its way"), state: delivered ? "done" : "now" });
  if (delivered && at_step !== null && !applied && !refused && !over) stages.push({ words: t("waits for step {step}", { step: integer(at_step) }), state: "now" });
  if (ranks > 1) {
    const good = answers.filter(({ ok }) => ok).length;
    stages.push({ words: t("acknowledged by {k} of {n} ranks", { k: good, n: ranks }), state: good >= ranks ? "done" : refused ? "bad" : delivered ? "now" : "open" });
  }
  if (refused || over) return [...stages, { words: endWords(state), state: "bad" }];
  stages.push({ words: applied && command.applied_step !== null ? t("applied at step {step}", { step: integer(command.applied_step) }) : t("applied"), state: applied ? "done" : "open" });
  if (command.verb !== "set" || !command.by_person) return stages;
  const judged = effect?.verdict;
  stages.push({ words: judged ? t("effect measured") : effect ? t("effect at step {step}", { step: integer(effect.judge_at_step) }) : t("effect"), state: judged ? "done" : applied ? "now" : "open" });
  return stages;
}

const endWords = (state: string): string => (state === "rejected" ? t("refused") : state === "superseded" ? t("replaced") : t("not applied"));

export interface PastValue {
  step: number;
  value: Json;
  by: string;
  why: string;
  command: number | null; // its number
}

/** The values that a setting had, oldest first, each with who set it and why; as far as commands and the declaration tell. */
export function historyOf(tunable: Tunable, commands: readonly Command[]): PastValue[] {
  const past: PastValue[] = [{ step: 0, value: tunable.initial, by: t("the script"), why: "", command: null }];
  const applied = commands.filter((each) => each.verb === "set" && each.tunable === tunable.name && each.state === "applied" && each.applied_step !== null);
  for (const command of [...applied].sort((a, b) => Date.parse(a.applied_at ?? "") - Date.parse(b.applied_at ?? "") || a.seq - b.seq)) {
    past.push({ step: command.applied_step as number, value: command.new_value, by: command.asked_by, why: command.reason, command: command.seq });
  }
  // A script, or a reflex, may have set it since without having been asked.
  if (!same(past[past.length - 1].value, tunable.value)) past.push({ step: tunable.changed_step ?? past[past.length - 1].step, value: tunable.value, by: tunable.changed_by || t("the script"), why: "", command: null });
  return past;
}

/** The history as an SVG path of steps and the place of each change; null where there is nothing to draw. */
export function stepPicture(past: readonly PastValue[], until: number, log: boolean, width: number, height: number): { path: string; dots: { x: number; y: number; of: PastValue }[] } | null {
  const numbers = past.map(({ value }) => (typeof value === "boolean" ? Number(value) : typeof value === "number" ? value : NaN));
  if (past.length < 2 || numbers.some((value) => !Number.isFinite(value))) return null;
  const scaled = numbers.map((value) => (log && value > 0 ? Math.log(value) : value));
  const [low, high] = [Math.min(...scaled), Math.max(...scaled)];
  const end = Math.max(until, ...past.map(({ step }) => step), 1);
  const x = (step: number): number => Math.round((step / end) * width * 10) / 10;
  const y = (value: number): number => Math.round((high > low ? height - 4 - ((value - low) / (high - low)) * (height - 8) : height / 2) * 10) / 10;
  const dots = past.map((of, i) => ({ x: x(of.step), y: y(scaled[i]), of }));
  const path = dots.map((dot, i) => (i ? `H${dot.x}V${dot.y}` : `M${dot.x} ${dot.y}`)).join("") + `H${width}`;
  return { path, dots: dots.slice(1) };
}
