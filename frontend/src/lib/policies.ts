/** The names that the controller's server side has, in the page's language. The Chinese stands in words/zh/terms.ts. */
import { t, term } from "./i18n";
import { said } from "./said";

export const labelOf = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");

/** A policy's name; one of a plug-in, which nobody translated, as it is. */
export const policyName = (name: string): string => term(labelOf(name));

/** A figure's name among a policy's settings. */
export const figureName = (name: string): string => term(labelOf(name));

/** "rule: sentence", as a guard wrote it: the rule in the page's language. */
export function blockedWords(blocked: string): { rule: string; sentence: string } {
  const at = blocked.indexOf(": ");
  if (at < 0) return { rule: "", sentence: said(blocked) };
  return { rule: term(blocked.slice(0, at)), sentence: said(blocked.slice(at + 2)) };
}

/** What a figure of a policy's evidence is called. */
export function evidenceName(name: string): string {
  switch (name) {
    case "healthy_level": return t("healthy level");
    case "level": return t("level then");
    case "threshold": return t("counts as broken above");
    case "cause": return t("seen in");
    case "kind": return t("kind of trouble");
    case "progress": return t("fall over these steps");
    case "progress_low": return t("fall, at least");
    case "progress_high": return t("fall, at most");
    case "noise": return t("noise");
    case "points": return t("points looked at");
    case "plan": return t("part of a");
    case "fall": return t("fall of its logarithm");
    case "expected_fall": return t("fall at a good rate");
    case "recent": return t("fall of late");
    case "error": return t("standard error");
    case "overshot": return t("first steps overshot");
    case "move": return t("ten steps led, in weights' lengths");
    case "cosine": return t("direction kept");
    case "cosines": return t("turns looked at");
    default: return term(name.replaceAll("_", " "));
  }
}
