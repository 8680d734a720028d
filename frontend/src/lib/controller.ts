/** The controller's figures as fields of a form, and what of them a person changed. */
import type { Controller, Json, JsonMap } from "../api/types";
import { exact } from "./format";
import { parseNumber } from "./scale";

/** What was typed or switched, by the name the server uses in its errors: "policies.divergence.factor". */
export type Drafts = Record<string, string | boolean>;

export const GUARDS: Record<string, { label: string; hint: string }> = {
  max_factor: { label: "Largest step", hint: "No single change multiplies or divides a value by more" },
  cooldown_steps: { label: "Cool-down, steps", hint: "After a change of a tunable, before the next of the same" },
  max_changes: { label: "Most changes", hint: "In one run, all policies together" },
  hands_off_seconds: { label: "Hands off, seconds", hint: "How long a tunable stays a person's after they set it" },
};

export const LEARNING: { value: NonNullable<Controller["learning"]>; label: string; words: string }[] = [
  { value: "use", label: "Use", words: "What verdicts taught about each change chooses its size, and holds back what mostly harms" },
  { value: "teach", label: "Teach", words: "Verdicts here teach, and decisions here do not follow what was learnt" },
  { value: "off", label: "Off", words: "Verdicts here teach nothing" },
];

export const labelOf = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");

/** Names and sentences of what cannot be taken, and the change to send: only what differs from what is in force. */
export function changesOf(controller: Controller, drafts: Drafts): { errors: Record<string, string>; body: Partial<Controller> } {
  const errors: Record<string, string> = {};
  const policies: Record<string, JsonMap> = {};
  const guards: JsonMap = {};
  const top: Partial<Controller> = {};
  for (const [field, draft] of Object.entries(drafts)) {
    if (field === "learning") {
      if (draft !== controller.learning) top.learning = draft as Controller["learning"];
      continue;
    }
    const [group, ...names] = field.split(".");
    const name = names[names.length - 1];
    const current = group === "guards" ? controller.guards[name] : controller.policies[names[0]]?.[name];
    const value = read(draft, current);
    if (value === undefined) errors[field] = "This is not a number. Write it like 0.3 or 1e-3.";
    else if (value === current) continue;
    else if (group === "guards") guards[name] = value;
    else (policies[names[0]] ??= {})[name] = value;
  }
  return { errors, body: { ...top, ...(Object.keys(policies).length ? { policies } : {}), ...(Object.keys(guards).length ? { guards } : {}) } };
}

function read(draft: string | boolean, current: Json): Json | undefined {
  if (typeof draft === "boolean" || typeof current !== "number") return typeof draft === "string" ? draft.trim() : draft;
  return parseNumber(draft) ?? undefined;
}

/** A figure's default in words, where it is not in force. */
export const defaultOf = (value: Json, usual: Json): string =>
  usual === undefined || value === usual ? "" : `By default ${usual === "" ? "empty" : exact(usual)}`;
