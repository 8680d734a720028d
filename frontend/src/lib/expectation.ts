/** What a change is expected to do, in words: "44 % lower (0 % to 89 % lower)". */
import { number, percent } from "./format";
import { t } from "./i18n";

export interface Expectation {
  metric?: string;
  effect?: number;
  low?: number;
  high?: number;
  unit?: string; // "ratio": of the metric without the change
}

/** One difference: a share of the metric where it is a ratio, else a figure in the metric's own unit. */
export function differenceWords(value: number, unit = "ratio"): string {
  if (unit !== "ratio") return value === 0 ? t("no change") : `${value > 0 ? "+" : "−"}${number(Math.abs(value))}${unit ? ` ${unit}` : ""}`;
  if (Math.abs(value) < 5e-5) return t("no change");
  if (value >= 1) return t("{n} times as much", { n: number(value + 1, 3) });
  return value > 0 ? t("{share} higher", { share: percent(short(value)) }) : t("{share} lower", { share: percent(short(-value)) });
}

/** "" where nothing is promised: an effect of nothing with no room on either side. */
export function effectPhrase({ effect, low, high, unit = "ratio" }: Expectation): string {
  if (typeof effect !== "number") return "";
  if (!effect && !low && !high) return "";
  const words = differenceWords(effect, unit);
  if (typeof low !== "number" || typeof high !== "number" || low === high) return words;
  return `${words} (${spanWords(low, high, unit)})`;
}

/** The ends of an interval, the nearer to nothing first. */
export function spanWords(low: number, high: number, unit = "ratio"): string {
  if (unit === "ratio" && low <= 0 && high <= 0 && low > -1) return t("{low} to {high} lower", { low: percent(short(-high)), high: percent(short(-low)) });
  if (unit === "ratio" && low >= 0 && high > 0 && high < 1) return t("{low} to {high} higher", { low: percent(short(low)), high: percent(short(high)) });
  const [first, second] = Math.abs(high) < Math.abs(low) && high <= 0 ? [high, low] : [low, high];
  return t("{low} to {high}", { low: differenceWords(first, unit), high: differenceWords(second, unit) });
}

// Of next to all never all: a loss that comes back from an explosion is 99.8 % lower.
const short = (value: number): number => (value > 0.99 && value < 1 ? Math.floor(value * 1000) / 1000 : Number(value.toPrecision(2)));
