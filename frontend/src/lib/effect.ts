/** What came of a change, in words: the verdict, the figure, and the interval of what was forecast without it. */
import type { Effect } from "../api/types";
import { number } from "./format";
import { t, term } from "./i18n";
import { said } from "./said";

export interface Came {
  verdict: string;
  tone: "good" | "bad" | "quiet";
  words: string;
}

/** Null while nothing is known yet. */
export function effectWords({ verdict, measured }: Pick<Effect, "verdict" | "measured">): Came | null {
  if (!verdict) return null;
  const { metric, measured: found, forecast, low, high, sentence } = measured as Record<string, string | number | null | undefined>;
  const figures = typeof found === "number" && typeof forecast === "number" && typeof low === "number" && typeof high === "number";
  const words = figures
    ? t("{metric} {found}, where {forecast} was forecast without it ({low} to {high})", { metric, found: number(found), forecast: number(forecast), low: number(low), high: number(high) })
    : said(String(sentence ?? ""));
  return { verdict: term(verdict), tone: verdict === "better" ? "good" : verdict === "worse" ? "bad" : "quiet", words };
}
