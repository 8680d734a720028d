/** Metric keys in sections, as the panels of a page are laid out. */
import { t } from "./i18n";

export interface Section {
  name: string;
  keys: string[];
}

export const PROCESS = "process";

/** Sections by the part before the first slash: bare keys first, then by the alphabet, our own last. */
export function sections(keys: string[], first: string[] = []): Section[] {
  const groups = new Map<string, string[]>();
  for (const key of [...keys].sort((a, b) => rank(a, first) - rank(b, first) || a.localeCompare(b, "en", { numeric: true }))) {
    const slash = key.indexOf("/");
    const name = key.startsWith("_") ? PROCESS : slash > 0 ? key.slice(0, slash) : "";
    const list = groups.get(name);
    if (list) list.push(key);
    else groups.set(name, [key]);
  }
  const order = (name: string) => (name === "" ? 0 : name === PROCESS ? 2 : 1);
  return [...groups]
    .sort(([a], [b]) => order(a) - order(b) || a.localeCompare(b, "en", { numeric: true }))
    .map(([name, list]) => ({ name, keys: list }));
}

function rank(key: string, first: string[]): number {
  const at = first.indexOf(key);
  return at < 0 ? first.length : at;
}

export interface Found {
  keys: string[];
  error: string; // what is wrong with the pattern, in words; then every key is found
}

/** Keys that hold every word, in any case; between slashes, /those that match a regular expression/. */
export function matchKeys(keys: string[], text: string): Found {
  const pattern = /^\/(.+)\/$/.exec(text.trim());
  if (!pattern) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    return { keys: keys.filter((key) => words.every((word) => key.toLowerCase().includes(word))), error: "" };
  }
  try {
    const wanted = new RegExp(pattern[1], "i");
    return { keys: keys.filter((key) => wanted.test(key)), error: "" };
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^Invalid regular expression: /, "") : "";
    return { keys, error: t("Not a regular expression: {why}", { why }) };
  }
}

/** What a run cost so far, which stands in its summary for the table to sort by, and has no points. */
const LEDGER = new Set(["_device_seconds", "_energy_joules", "_cost"]);

/** The keys of these runs that have points to draw. */
export const pointKeys = (runs: readonly { summary: Record<string, unknown> | null }[]): string[] =>
  [...new Set(runs.flatMap((run) => Object.keys(run.summary ?? {})))].filter((key) => !LEDGER.has(key));

/** The metrics of runs, by the alphabet; the same list as before while no new one came, however often it is asked. */
export class KeySet {
  private keys: readonly string[] = [];
  private counts = new Map<string, number>();
  private codes = "";

  of(runs: readonly { code: string; summary: Record<string, unknown> | null }[]): readonly string[] {
    const codes = runs.map((run) => run.code).join();
    const counts = new Map(runs.map((run) => [run.code, Object.keys(run.summary ?? {}).length]));
    const grown = codes !== this.codes || [...counts].some(([code, count]) => this.counts.get(code) !== count);
    if (!grown) return this.keys;
    [this.codes, this.counts] = [codes, counts];
    const { compare } = new Intl.Collator("en", { numeric: true });
    return (this.keys = pointKeys(runs).sort(compare));
  }
}
