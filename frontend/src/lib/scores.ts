/** A policy's record as a picture over days and a line of words. */
import type { Forecasts, PolicyScore, Verdicts } from "../api/types";
import { number, percent } from "./format";
import { t } from "./i18n";

export interface DayBar {
  day: string;
  x: number; // of 0..1
  width: number;
  parts: { verdict: "better" | "same" | "worse" | "unclear"; from: number; to: number; count: number }[]; // of 0..1 of the height
}

const ORDER = ["better", "same", "unclear", "worse"] as const;
const MOST = 30; // days, the newest

/** One bar a day with a verdict, as high as that day had verdicts against the fullest day. */
export function dayBars({ days }: Pick<PolicyScore, "days">): DayBar[] {
  const shown = days.slice(-MOST);
  const most = Math.max(1, ...shown.map(total));
  return shown.map((day, at) => {
    let height = 0;
    const parts = ORDER.map((verdict) => {
      const from = height;
      height += day[verdict] / most;
      return { verdict, from, to: height, count: day[verdict] };
    }).filter(({ count }) => count > 0);
    return { day: day.day, x: at / Math.max(10, shown.length), width: 0.8 / Math.max(10, shown.length), parts };
  });
}

export const total = (of: Verdicts): number => of.better + of.same + of.worse + of.unclear;

/** A mean gain, a logarithm, as how many times better the metric was than its forecast: a loss at half of it is 2 times better. */
export function gainWords(gain: number | null): string {
  if (gain === null) return "–";
  const times = number(Math.exp(Math.abs(gain)), 3);
  if (times === "1") return t("as forecast");
  return gain > 0 ? t("{times} times better", { times }) : t("{times} times worse", { times });
}

/** How often the 80 % interval held, and whether that is as often as it should. */
export function heldWords({ compared, held80, share80 }: Forecasts): { words: string; honest: boolean | null } {
  if (!compared || share80 === null) return { words: t("not compared yet"), honest: null };
  // Two standard errors about 80 %: fewer comparisons prove less.
  const slack = 2 * Math.sqrt((0.8 * 0.2) / compared);
  return { words: t("{held} of {compared} ({share})", { held: held80, compared, share: percent(share80) }), honest: Math.abs(share80 - 0.8) <= Math.max(0.05, slack) };
}
