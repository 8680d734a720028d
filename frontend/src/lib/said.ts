/**
 * What the server wrote (reasons, decisions, refusals), in the page's language.
 *
 * It writes English with figures in it. A catalogue has such sentences as patterns: "waits for {what}: none is free". The first that fits is
 * said in the other language with the figures that stood there; what none fits stays as it was written. Names between braces that are
 * listed in PARTS stand for a part that is a sentence itself, those in FIGURES for a figure.
 */
import type { Words } from "./i18n";

export type Sentences = Words;

const FIGURES = new Set(["n", "m", "step"]); // stand for a figure alone
const PARTS = new Set(["what", "why", "then", "also", "who"]);
const DEEPEST = 4; // parts of parts

interface Pattern {
  fits: RegExp;
  names: string[];
  other: string;
}

let plain: Sentences = {};
let patterns: Pattern[] = [];
let known = new Map<string, string>();
const MOST_KNOWN = 2000;

/** From here on what the server says is told by this catalogue; null: as it was written. */
export function hear(sentences: Sentences | null): void {
  known = new Map();
  plain = sentences ?? {};
  patterns = Object.entries(plain).filter(([english]) => english.includes("{")).map(([english, other]) => {
    const pieces = english.split(/\{(\w+)\}/);
    const source = pieces.map((piece, i) => (i % 2 ? (FIGURES.has(piece) ? "([\\d,.]+)" : "(.+?)") : piece.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))).join("");
    return { fits: new RegExp(`^${source}$`, "s"), names: pieces.filter((_, i) => i % 2), other };
  });
}

export function said(text: string): string;
export function said(text: string | null | undefined): string;
export function said(text: string | null | undefined): string {
  if (!text || !patterns.length) return text ?? "";
  const before = known.get(text);
  if (before !== undefined) return before;
  const told = tell(text, DEEPEST);
  if (known.size >= MOST_KNOWN) known = new Map();
  known.set(text, told);
  return told;
}

function tell(text: string, deep: number): string {
  const whole = Object.hasOwn(plain, text) ? plain[text] : undefined;
  if (whole !== undefined) return whole;
  for (const { fits, names, other } of patterns) {
    const found = fits.exec(text);
    if (!found) continue;
    const values = new Map(names.map((name, i) => [name, deep && PARTS.has(name) ? tell(found[i + 1], deep - 1) : found[i + 1]]));
    return other.replace(/\{(\w+)\}/g, (all, name: string) => values.get(name) ?? all);
  }
  return text;
}
