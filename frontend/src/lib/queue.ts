/** The queue by hand: which neighbour a moved job is put next to, what a priority is called, what a share reads as. */
import type { Job, Share } from "../api/types";
import { t } from "./i18n";

export type Side = "before" | "behind";
export interface Move { side: Side; code: string }

const CLASSES: [number, string][] = [[-100, "low"], [0, "normal"], [100, "high"], [200, "urgent"]];

/** Where the job at `from` is put so that it ends up at `to`; null where that is its own place, or outside the queue. */
export function moveTo(codes: string[], from: number, to: number): Move | null {
  if (from === to || to < 0 || to >= codes.length || !codes[from]) return null;
  return { side: to < from ? "before" : "behind", code: codes[to]! };
}

/** The move that takes a job back to where it was before another was made. */
export function moveBack(codes: string[], from: number): Move | null {
  if (codes[from + 1]) return { side: "before", code: codes[from + 1]! };
  return codes[from - 1] ? { side: "behind", code: codes[from - 1]! } : null;
}

/** What one can choose for a job: the classes, and its own number where that is none of them. */
export function priorities(now: number): { value: number; label: string }[] {
  const words: Record<string, string> = { low: t("low"), normal: t("normal"), high: t("high"), urgent: t("urgent") };
  const found = CLASSES.map(([value, name]) => ({ value, label: words[name]! }));
  if (!found.some((each) => each.value === now)) found.push({ value: now, label: String(now) });
  return found.sort((a, b) => b.value - a.value);
}

/** When a waiting job starts: "in about 20 min", that nobody knows, or "" for one of which nothing was foretold. */
export function startsIn(outlook: Job["outlook"], now: number): string {
  if (!outlook.words) return "";
  if (!outlook.starts_at) return t("Nobody knows when");
  const minutes = Math.round((Date.parse(outlook.starts_at) - now) / 60_000);
  if (minutes < 1) return t("Starts soon");
  if (minutes < 90) return t("Starts in about {n} min", { n: minutes });
  return t("Starts in about {n} h", { n: Math.round(minutes / 60) });
}

/** "3 of 4", "6, 2 of them borrowed", "3, none its own". */
export function usedOf(share: Share): string {
  if (!share.quota) return String(share.used);
  if (share.used > share.quota) return t("{n}, {m} of them borrowed", { n: share.used, m: share.used - share.quota });
  return t("{n} of {all}", { n: share.used, all: share.quota });
}
