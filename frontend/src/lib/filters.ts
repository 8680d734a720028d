/** Conditions on runs, as the API takes them in `filter`, and as a person builds them. */
import type { ColumnId } from "./table";

export const OPERATORS = ["=", "!=", "<", "<=", ">", ">=", "contains", "~", "!~", "exists", "missing"] as const;
export type Operator = (typeof OPERATORS)[number];

export interface Condition {
  column: ColumnId;
  operator: Operator;
  value?: string | number | boolean;
}
export type Filter = Condition | { all: Filter[] } | { any: Filter[] };

/** One level of groups, which is what the builder shows: all (or any) of the parts, each of which is a condition or a group. */
export interface Built {
  join: "all" | "any";
  parts: (Condition | { join: "all" | "any"; conditions: Condition[] })[];
}

export const isCondition = (filter: Filter | Built["parts"][number]): filter is Condition => "column" in filter;

const TEXTS: readonly Operator[] = ["=", "!=", "contains", "~", "!~", "exists", "missing"];
const NUMBERS: readonly Operator[] = ["=", "!=", "<", "<=", ">", ">=", "exists", "missing"];

/** What can be asked of a column. */
export function operatorsOf(column: ColumnId): readonly Operator[] {
  if (/^(config|metric):/.test(column)) return OPERATORS;
  if (["name", "state", "tags", "created_by", "group"].includes(column)) return TEXTS;
  return NUMBERS;
}

export const takesValue = (operator: Operator): boolean => operator !== "exists" && operator !== "missing";

/** Typed text as the value it means: a number where it is one, for text stays comparable as text on the server. */
export const valueTyped = (text: string): string | number => (/^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : text);

/** A condition is whole when it says what to compare with; half-typed ones are not sent. */
export const isWhole = (condition: Condition): boolean =>
  condition.column !== "" && (!takesValue(condition.operator) || (condition.value !== undefined && condition.value !== ""));

export function toFilter(built: Built): Filter | null {
  const parts: Filter[] = [];
  for (const part of built.parts) {
    if (isCondition(part)) {
      if (isWhole(part)) parts.push(bare(part));
    } else {
      const whole = part.conditions.filter(isWhole).map(bare);
      if (whole.length) parts.push(part.join === "all" ? { all: whole } : { any: whole });
    }
  }
  return parts.length ? (built.join === "all" ? { all: parts } : { any: parts }) : null;
}

const bare = ({ column, operator, value }: Condition): Condition => (takesValue(operator) ? { column, operator, value } : { column, operator });

/** A filter in the builder's form; null where it is nested deeper than it can show (it stays as it is). */
export function fromFilter(filter: Filter | null): Built | null {
  if (!filter) return { join: "all", parts: [] };
  if (isCondition(filter)) return { join: "all", parts: [filter] };
  const [join, parts] = partsOf(filter);
  const built: Built["parts"] = [];
  for (const part of parts) {
    if (isCondition(part)) built.push(part);
    else {
      const [inner, conditions] = partsOf(part);
      if (!conditions.every(isCondition)) return null;
      built.push({ join: inner, conditions });
    }
  }
  return { join, parts: built };
}

const partsOf = (filter: { all: Filter[] } | { any: Filter[] }): ["all" | "any", Filter[]] =>
  "all" in filter ? ["all", filter.all] : ["any", filter.any];

/** How many conditions there are, for the button that opens them. */
export const countOf = (filter: Filter | null): number =>
  !filter ? 0 : isCondition(filter) ? 1 : partsOf(filter)[1].reduce((sum, part) => sum + countOf(part), 0);

/** Both: what stands already, and what a group of equal values is. */
export const both = (filter: Filter | null, more: Filter[]): Filter | null =>
  !more.length ? filter : { all: filter ? [filter, ...more] : more };

/** The runs of one group: those with these values. */
export const groupConditions = (columns: ColumnId[], values: (string | number | null)[]): Filter[] =>
  columns.flatMap((column, at): Filter[] => {
    const value = values[at];
    if (value === null) return [{ column, operator: "missing" }];
    if (column !== "tags") return [{ column, operator: "=", value }];
    // A group of tags is those with all of them; one more would be another group.
    return String(value).split(", ").filter(Boolean).map((tag): Filter => ({ column, operator: "=", value: tag }));
  });

/** A filter out of an address or a kept view; null for what is none. */
export function readFilter(text: string): Filter | null {
  try {
    const found: unknown = JSON.parse(text);
    return isFilter(found, 0) ? found : null;
  } catch {
    return null;
  }
}

export function isFilter(value: unknown, depth = 0): value is Filter {
  if (value === null || typeof value !== "object" || depth > 5) return false;
  const { all, any, column, operator } = value as Record<string, unknown>;
  const parts = all ?? any;
  if (parts !== undefined) return Array.isArray(parts) && parts.every((part) => isFilter(part, depth + 1));
  return typeof column === "string" && OPERATORS.includes(operator as Operator);
}
