/** What a decision chose among: what was taken, the other sizes, what other policies wanted, and leaving it alone. */
import type { Decision, Json } from "../api/types";
import { effectPhrase, type Expectation } from "./expectation";
import { integer, number, percent } from "./format";
import { plural, t, term } from "./i18n";
import { said } from "./said";
import { policyName } from "./policies";
import { changesWords } from "./story";

export interface Choice {
  id: string;
  part: "taken" | "other" | "overruled" | "nothing";
  what: string;
  expected: string;
  belief: string;
  why: string;
}

interface Kept {
  action: string;
  context?: string;
  verdicts?: number;
  better?: number;
  worse?: number;
  gain?: number;
  low?: number;
  high?: number;
  drawn?: number;
  changes?: NonNullable<Decision["changes"]>;
  expected?: Expectation;
  judge_after_steps?: number;
  rule?: string;
  why?: string;
}

/** Empty where nothing was kept of what it was chosen among. */
export function choicesOf(decision: Decision): Choice[] {
  const { evidence } = decision;
  const belief = isKept(evidence.belief) ? evidence.belief : null;
  const others = list(evidence.alternatives).filter(isKept);
  const overruled = list(evidence.overruled) as { policy?: string; changes?: NonNullable<Decision["changes"]>; expected?: Expectation; why?: string }[];
  const left = leftAlone(decision);
  if (!belief && !others.length && !overruled.length) return [];
  return [
    { id: "taken", part: "taken", what: changesWords(decision), expected: effectPhrase(decision.expected), belief: beliefWords(belief), why: fateWord(decision) },
    ...others.map((other, at): Choice => ({
      id: `other ${at}`, part: "other", what: other.changes?.length ? changesWords({ ...decision, changes: other.changes, verb: other.changes[0].verb }) : other.action,
      expected: other.expected ? effectPhrase(other.expected) : "", belief: beliefWords(other), why: whyWords(other, belief),
    })),
    ...overruled.map((other, at): Choice => ({
      id: `overruled ${at}`, part: "overruled", what: `${policyName(other.policy ?? "")}: ${changesWords({ ...decision, changes: other.changes ?? [], verb: other.changes?.[0]?.verb ?? "set" })}`,
      expected: [other.expected?.metric === decision.expected.metric ? "" : other.expected?.metric, other.expected ? effectPhrase(other.expected) : ""].filter(Boolean).join(" "),
      belief: "", why: t("another policy gave way: {why}", { why: said(other.why) }),
    })),
    ...(left ? [left] : []),
  ];
}

const fateWord = ({ state }: Decision): string =>
  ({ recorded: t("would be taken"), blocked: t("held back"), expired: t("came too late"), proposed: term("proposed"), rejected: term("rejected") } as Record<string, string>)[state] ?? t("taken");

/** Doing nothing is what every change is held against. */
function leftAlone({ forecast, decided_step }: Decision): Choice | null {
  const { metric, steps = [], mean = [], low = [], high = [], broken } = forecast;
  if (!metric) return null;
  const at = steps.length - 1;
  const expected = at < 0 || mean.length <= at
    ? (broken ? t("{metric} stays no number", { metric }) : "")
    : t("{metric} {mean} ({low} to {high}) at step {step}", { metric, mean: number(mean[at], 3), low: number(low[at], 3), high: number(high[at], 3), step: integer(steps[at]) });
  if (!expected) return null;
  const why = broken ? t("what is broken was held to stay at its level since step {step}", { step: integer(decided_step) }) : t("the forecast that the change is judged against");
  return { id: "nothing", part: "nothing", what: t("leave it alone"), expected, belief: "", why };
}

/** What verdicts taught about a size: how often it helped, by how much, and how many of them there are. */
function beliefWords(belief: Kept | null): string {
  if (!belief || typeof belief.verdicts !== "number") return "";
  if (!belief.verdicts) return t("no verdict yet");
  const known = plural(belief.verdicts, "{n} verdict", "{n} verdicts");
  if (typeof belief.better !== "number" || typeof belief.gain !== "number") return known;
  const span = typeof belief.low === "number" && typeof belief.high === "number" ? ` (${t("{low} to {high}", { low: gain(belief.low), high: gain(belief.high) })})` : "";
  return t("helps with {chance}, gain {gain}; {known}", { chance: share(belief.better), gain: `${gain(belief.gain)}${span}`, known });
}

function whyWords(other: Kept, taken: Kept | null): string {
  const drawn = { mine: other.drawn, best: taken?.drawn };
  switch (other.rule) {
    case "first": return t("no size has a verdict yet: the policy's first choice is taken");
    case "same": return t("counts as the same size to what was learnt");
    case "draw": if (drawn.mine === undefined || drawn.best === undefined) break;
      return t("a gain of {mine} was drawn for it, {best} for the one taken", { mine: gain(drawn.mine), best: gain(drawn.best) });
    case "chance": if (drawn.mine === undefined || drawn.best === undefined) break;
      return t("its chance of helping was drawn at {mine}, that of the one taken at {best}", { mine: share(drawn.mine), best: share(drawn.best) });
    case "odds": if (drawn.mine === undefined) break;
      return t("its chance of helping was drawn at {mine}: less often than not", { mine: share(drawn.mine) });
    case "later": if (drawn.best === undefined) break;
      if (!taken?.verdicts) return t("goes further than it must: the one taken was never judged and has the benefit of the doubt");
      return t("goes further than it must: the one taken was good enough, with {best}", { best: share(drawn.best) });
  }
  return said(other.why);
}

const list = (value: Json | undefined): unknown[] => (Array.isArray(value) ? value : []);
const isKept = (value: unknown): value is Kept => typeof value === "object" && value !== null && typeof (value as Kept).action === "string";
/** A gain is kept as the logarithm of a ratio, positive where it helped. */
const gain = (log: number): string => {
  const ratio = Math.expm1(log);
  if (ratio >= 1) return t("{share} times", { share: number(ratio + 1, 2) });
  return `${ratio > 0 ? "+" : ratio < 0 ? "−" : ""}${percent(Number(Math.abs(ratio).toPrecision(2)))}`;
};
const share = (chance: number): string => percent(Number(chance.toPrecision(2)));
