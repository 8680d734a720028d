/** Lower values for a learning rate that broke a loss, each with what speaks for it. */
import type { Tunable } from "../api/types";
import type { PastValue } from "./change";
import { integer } from "./format";
import { t } from "./i18n";

export interface Lower {
  value: number;
  why: string;
}

const HELD = 20; // steps, for which a value has to have been in force to have worked
const BLUR = 10; // steps, by which the beginning of a trouble may be told too early

/** `past`: the values that it had, oldest first. `broken`: since which step the loss is. */
export function lowerOf(tunable: Tunable, past: readonly PastValue[], broken: number): Lower[] {
  const now = Number(tunable.value);
  if (!(now > 0)) return [];
  const worked = workedBefore(now, past, broken);
  const offers: Lower[] = [
    ...(worked ? [{ value: worked.value, why: t("worked until step {n}", { n: integer(worked.until) }) }] : []),
    { value: rounded(now / 2), why: t("a half") },
    { value: rounded(now / 10), why: t("a tenth") },
  ];
  const low = Math.max(tunable.low ?? 0, 0);
  return offers.filter(({ value }, i) => value > 0 && value >= low && value < now && offers.findIndex((each) => same(each.value, value)) === i);
}

/** The newest lower value that was replaced, at the latest, as the trouble began. */
function workedBefore(now: number, past: readonly PastValue[], broken: number): { value: number; until: number } | null {
  for (let i = past.length - 2; i >= 0; i--) {
    const value = past[i].value;
    const until = past[i + 1].step;
    if (typeof value === "number" && value > 0 && value < now && until <= broken + BLUR && until - past[i].step >= HELD) return { value, until };
  }
  return null;
}

const rounded = (value: number): number => Number(value.toPrecision(3));
const same = (a: number, b: number): boolean => Math.abs(a - b) <= 0.01 * Math.max(a, b);
