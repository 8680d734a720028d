/** The controller's figures as fields of a form, and what of them a person changed. */
import type { Controller, Json, JsonMap, Mode } from "../api/types";
import { exact } from "./format";
import { t } from "./i18n";
import { labelOf } from "./policies";
import { parseNumber } from "./scale";

/** What was typed or switched, by the name the server uses in its errors: "policies.divergence.factor". */
export type Drafts = Record<string, string | boolean>;

/** A guard's name and what it means. */
export function guardWords(name: string): { label: string; hint: string } {
  switch (name) {
    case "max_factor": return { label: t("Largest step"), hint: t("No single change multiplies or divides a value by more") };
    case "cooldown_steps": return { label: t("Cool-down, steps"), hint: t("After a change of a tunable, before the next of the same") };
    case "max_changes": return { label: t("Most changes"), hint: t("In one run, all policies together") };
    case "hands_off_seconds": return { label: t("Hands off, seconds"), hint: t("How long a tunable stays a person's after they set it") };
    case "least_steps": return { label: t("Least steps"), hint: t("No run is ended before it has made so many") };
    default: return { label: labelOf(name), hint: "" };
  }
}

export const modes = (): { value: Mode; label: string; title: string; words: string }[] => [
  { value: "off", label: t("Off"), title: t("The controller does nothing"), words: t("The controller does nothing. Open decisions are closed.") },
  { value: "observe", label: t("Observe"), title: t("Decides and records, changes nothing"), words: t("It decides and writes down what it would do, and changes nothing. Its forecasts are held against what comes.") },
  { value: "advise", label: t("Advise"), title: t("A person approves each change"), words: t("Each change waits ten minutes for a person, on the bell, on the first page and on the run. Nothing happens without an answer.") },
  { value: "act", label: t("Act"), title: t("Changes settings within the guards, and undoes what made it worse"), words: t("It changes settings within the guards, judges each change against the forecast of not making it, and takes back what made it worse. A person's hand wins.") },
];

export const learnings = (): { value: NonNullable<Controller["learning"]>; label: string; words: string }[] => [
  { value: "use", label: t("Use"), words: t("What verdicts taught about each change chooses its size, and holds back what mostly harms") },
  { value: "teach", label: t("Teach"), words: t("Verdicts here teach, and decisions here do not follow what was learnt") },
  { value: "off", label: t("Off"), words: t("Verdicts here teach nothing") },
];

/** What a policy does as things are set: acts, asks first, only records, or nothing. */
export function partOf(mode: Mode, enabled: boolean, shadow: boolean): { words: string; tone: "accent" | "warn" | "quiet" } {
  if (!enabled || mode === "off") return { words: t("off"), tone: "quiet" };
  if (shadow || mode === "observe") return { words: t("observes"), tone: "quiet" };
  return mode === "advise" ? { words: t("asks first"), tone: "warn" } : { words: t("acts"), tone: "accent" };
}

/** Names and sentences of what cannot be taken, and the change to send: only what differs from what is in force. */
export function changesOf(controller: Controller, drafts: Drafts): { errors: Record<string, string>; body: Partial<Controller> } {
  const errors: Record<string, string> = {};
  const policies: Record<string, JsonMap> = {};
  const guards: JsonMap = {};
  const top: Partial<Controller> = {};
  for (const [field, draft] of Object.entries(drafts)) {
    if (field === "learning" || field === "mode") {
      if (draft !== controller[field]) Object.assign(top, { [field]: draft });
      continue;
    }
    const [group, ...names] = field.split(".");
    const name = names[names.length - 1];
    const current = group === "guards" ? controller.guards[name] : controller.policies[names[0]]?.[name];
    const value = read(draft, current);
    if (value === undefined) errors[field] = t("This is not a number. Write it like 0.001 or 1e-3.");
    else if (value === current) continue;
    else if (group === "guards") guards[name] = value;
    else (policies[names[0]] ??= {})[name] = value;
  }
  return { errors, body: { ...top, ...(Object.keys(policies).length ? { policies } : {}), ...(Object.keys(guards).length ? { guards } : {}) } };
}

/** The change that takes another back: of each figure in it, what is in force now. */
export function beforeOf(controller: Controller, body: Partial<Controller>): Partial<Controller> {
  const back: Partial<Controller> = {};
  if (body.mode !== undefined) back.mode = controller.mode;
  if (body.learning !== undefined) back.learning = controller.learning;
  const old = (now: JsonMap | undefined, changed: JsonMap): JsonMap => Object.fromEntries(Object.keys(changed).map((name) => [name, now?.[name] ?? null]));
  if (body.guards) back.guards = old(controller.guards, body.guards);
  if (body.policies) back.policies = Object.fromEntries(Object.entries(body.policies).map(([policy, figures]) => [policy, old(controller.policies[policy], figures)]));
  return back;
}

function read(draft: string | boolean, current: Json): Json | undefined {
  if (typeof draft === "boolean" || typeof current !== "number") return typeof draft === "string" ? draft.trim() : draft;
  return parseNumber(draft) ?? undefined;
}

/** A figure's default in words, where it is not in force. */
export const defaultOf = (value: Json, usual: Json): string =>
  usual === undefined || value === usual ? "" : t("By default {value}", { value: usual === "" ? t("empty") : exact(usual) });
