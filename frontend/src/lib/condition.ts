/** How a run does, as the server found it, in words with their reason. */
import type { Condition } from "../api/types";
import { duration, exact, integer, number, percent } from "./format";
import { t } from "./i18n";

export interface Told {
  word: string;
  why: string;
  tone: "good" | "bad" | "warn" | "quiet";
}

export function told({ state, figures }: Condition): Told | null {
  const metric = String(figures.metric ?? "");
  const seconds = duration(Number(figures.seconds ?? 0));
  switch (state) {
    case "healthy":
      return { word: t("healthy"), why: metric ? t("{metric} still improves, by up to {share} over the last {n} steps", { metric, share: percent(Number(figures.gain)), n: integer(Number(figures.steps)) }) : "", tone: "good" };
    case "diverged":
      return { word: t("diverged"), why: t("{metric} is broken since step {n}", { metric, n: integer(Number(figures.step)) }), tone: "bad" };
    case "recovering":
      return { word: t("recovering"), why: `${t("{metric} falls again since step {n}", { metric, n: integer(Number(figures.since)) })}${cureOf(figures)}: ${t("now {level}, healthy at {healthy}", { level: number(numberOf(figures.level)), healthy: number(numberOf(figures.healthy)) })}`, tone: "warn" };
    case "recovered":
      return { word: t("recovered"), why: `${t("{metric} is well again since step {n}", { metric, n: integer(Number(figures.since)) })}${cureOf(figures)}; ${t("it was broken from step {n} on", { n: integer(Number(figures.step)) })}`, tone: "good" };
    case "plateau":
      return { word: t("plateau"), why: t("{metric} has hardly improved over the last {n} steps", { metric, n: integer(Number(figures.steps)) }), tone: "warn" };
    case "stalled":
      return { word: t("stalled"), why: t("The process lives, and has made no step for {time}", { time: seconds }), tone: "bad" };
    case "silent":
      return { word: t("silent"), why: t("Nothing was heard of it for {time}", { time: seconds }), tone: "warn" };
    case "slow_loader":
      return { word: t("slow loader"), why: t("Steps wait for their data for {share} of the time", { share: percent(Number(figures.share)) }), tone: "warn" };
    case "early":
      return { word: t("too early to say"), why: t("Too few points have come to judge it"), tone: "quiet" };
    default:
      return null;
  }
}

const numberOf = (value: unknown): number | null => (typeof value === "number" ? value : null);

/** The change before which it was broken and after which it mended. */
function cureOf(figures: Condition["figures"]): string {
  const change = figures.change as { tunable: string; value: unknown; step: number } | undefined;
  return change ? t(", after {name} became {value} at step {n}", { name: change.tunable, value: exact(change.value), n: integer(change.step) }) : "";
}

/** While a cure is waited for, one wants to hear of it soon. */
export const isTroubled = (condition: Condition | undefined): boolean => condition?.state === "diverged" || condition?.state === "recovering";

/** When it will be done; and where that is unknown, why. */
export function eta(condition: Condition): { text: string; why: string } {
  if (condition.eta_seconds !== null) return { text: duration(condition.eta_seconds), why: t("{n} steps at {time} each", { n: integer(Math.max(0, (condition.total_steps ?? 0) - (condition.step ?? 0))), time: duration(condition.step_seconds) }) };
  if (condition.total_steps === null) return { text: t("unknown"), why: t("The run does not say where it ends: declare a tunable with the role total_steps, or put total_steps into its config") };
  return { text: t("unknown"), why: t("It makes no steps now") };
}
