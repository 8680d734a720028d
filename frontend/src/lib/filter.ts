/** Search and order over runs, as the tables use them. */
import type { Run } from "../api/types";

export interface Search {
  matches: (run: Run) => boolean;
  error: string; // what is wrong with the pattern, or ""
}

/**
 * Words must all occur in a run's name, code, tags, state or "key=value" settings. `/pattern/` is a regular expression
 * over the same text. A bad pattern matches everything and says what is wrong with it.
 */
export function searchRuns(text: string): Search {
  const wanted = text.trim();
  if (!wanted) return { matches: () => true, error: "" };
  const pattern = /^\/(.*)\/$/.exec(wanted);
  if (pattern) {
    try {
      const expression = new RegExp(pattern[1], "i");
      return { matches: (run) => expression.test(haystack(run)), error: "" };
    } catch (error) {
      return { matches: () => true, error: error instanceof Error ? error.message : String(error) };
    }
  }
  const words = wanted.toLowerCase().split(/\s+/);
  return {
    matches: (run) => {
      const hay = haystack(run).toLowerCase();
      return words.every((word) => hay.includes(word));
    },
    error: "",
  };
}

function haystack(run: Run): string {
  const settings = Object.entries(run.config ?? {}).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return [run.name, run.code, run.state, ...(run.tags ?? []), ...settings].join("\n");
}

/** Order of two cells: numbers by size, text by the alphabet with numbers in it by size; what is absent comes last. */
export function compareCells(a: unknown, b: unknown, descending: boolean): number {
  const [left, right] = [orderable(a), orderable(b)];
  if (left === null || right === null) return left === right ? 0 : left === null ? 1 : -1;
  const order =
    typeof left === "number" && typeof right === "number"
      ? left - right
      : String(left).localeCompare(String(right), "en", { numeric: true, sensitivity: "base" });
  return descending ? -order : order;
}

function orderable(value: unknown): number | string | null {
  if (value === null || value === undefined || value === "" || Number.isNaN(value) || value === "NaN") return null;
  if (typeof value === "number" || typeof value === "string") return value;
  if (typeof value === "boolean") return Number(value);
  return JSON.stringify(value);
}
