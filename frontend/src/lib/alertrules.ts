/** A rule's form, made from the JSON Schema that the server gives for its condition. */
import type { Json, JsonMap } from "../api/types";
import { term } from "./i18n";
import { said } from "./said";

export interface Field {
  name: string;
  kind: "text" | "number" | "choice" | "choices";
  choices: string[];
  value: Json; // what it is when it is left out; undefined: it must be given
  required: boolean;
  low?: number;
  high?: number;
}

interface Schema {
  properties?: Record<string, Property>;
  required?: string[];
}
interface Property {
  type?: string;
  enum?: string[];
  items?: { enum?: string[] };
  default?: Json;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
}

/** The fields of a condition's parameters, in the server's order. */
export function fieldsOf(schema: unknown): Field[] {
  const { properties = {}, required = [] } = schema as Schema;
  return Object.entries(properties).map(([name, about]) => ({
    name,
    kind: about.items?.enum ? "choices" : about.enum ? "choice" : about.type === "string" ? "text" : "number",
    choices: about.items?.enum ?? about.enum ?? [],
    value: about.default,
    required: required.includes(name),
    low: about.minimum ?? about.exclusiveMinimum,
    high: about.maximum,
  }));
}

/** What a person typed, by field: text for each but lists of choices. */
export type Typed = Record<string, string | string[]>;

export function typedOf(fields: Field[], parameters: JsonMap): Typed {
  return Object.fromEntries(
    fields.map((field) => {
      const value = parameters[field.name] ?? field.value;
      if (field.kind === "choices") return [field.name, Array.isArray(value) ? value.map(String) : []];
      return [field.name, value === undefined || value === null ? "" : String(value)];
    }),
  );
}

/** The parameters to send, without those left empty; a number that is none is sent as it was typed, for the server to refuse by its name. */
export function parametersOf(fields: Field[], typed: Typed): JsonMap {
  const found: JsonMap = {};
  for (const field of fields) {
    const value = typed[field.name];
    if (Array.isArray(value)) found[field.name] = value;
    else if (value?.trim()) {
      const number = Number(value);
      found[field.name] = field.kind === "number" && Number.isFinite(number) ? number : value.trim();
    }
  }
  return found;
}

/** "data_wait" of a parameter's name as words: patience_steps -> patience, in steps. */
export function labelOf(name: string): { words: string; unit: string } {
  const match = /^(.*?)_?(seconds|steps)$/.exec(name);
  return { words: (match ? match[1] || "for" : name).replaceAll("_", " "), unit: match?.[2] ?? "" };
}

const NAMED = new Set(["key", "per", "policy"]); // what a person wrote is no word of ours

/** A rule's parameters in a line: "limit 85 · for 60 seconds". */
export const parameterWords = (parameters: JsonMap): string =>
  Object.entries(parameters).map(([name, value]) => {
    const { words, unit } = labelOf(name);
    const of = (each: Json): string => (typeof each === "string" && !NAMED.has(name) ? term(each) : String(each));
    return [term(words), Array.isArray(value) ? value.map(of).join(", ") : of(value), term(unit)].filter(Boolean).join(" ");
  }).join(" · ");

export interface Bar {
  left: number; // share of the width, 0 to 1
  width: number;
  title: string;
}

/** Where a preview's spans lie between two moments (ISO); what still holds reaches to the end, and none is too thin to see. */
export function barsOf(spans: { start: string; end: string | null; message: string }[], since: string, until: string): Bar[] {
  const [first, last] = [Date.parse(since), Date.parse(until)];
  const whole = Math.max(1, last - first);
  const place = (at: number) => Math.min(1, Math.max(0, (at - first) / whole));
  return spans.map((span) => {
    const left = place(Date.parse(span.start));
    const right = span.end === null ? 1 : place(Date.parse(span.end));
    const width = Math.max(0.004, right - left);
    return { left: Math.min(left, 1 - width), width, title: said(span.message) };
  });
}
