/** A run's settings as a tree beside another run's, and as text to take elsewhere: YAML, command-line arguments. */
import { flatten } from "./tree";

export type Change = "same" | "added" | "removed" | "changed";

export interface SettingLine {
  path: string;
  name: string; // the last part of the path
  depth: number;
  leaf: boolean;
  value?: unknown; // of a leaf, in this run
  other?: unknown; // of a leaf, in the other one
  change: Change; // a branch: changed where anything below it is
  leaves: number; // below a branch
}

/** The lines of a tree: each branch before what is below it, in the order written, what only the other run has last.
 * Without another run nothing is changed. `shown` keeps a leaf, and with it the branches above. */
export function settingLines(config: unknown, other?: unknown, shown: (line: SettingLine) => boolean = () => true): SettingLine[] {
  const mine = new Map(flatten(config).map(({ path, value }) => [path, value]));
  const theirs = other === undefined ? mine : new Map(flatten(other).map(({ path, value }) => [path, value]));
  const root: Branch = { children: new Map() };
  for (const path of new Set([...mine.keys(), ...theirs.keys()])) {
    const change = !theirs.has(path) ? "added" : !mine.has(path) ? "removed" : JSON.stringify(mine.get(path)) === JSON.stringify(theirs.get(path)) ? "same" : "changed";
    const parts = path.split(".");
    const line = { path, name: parts.at(-1)!, depth: parts.length - 1, leaf: true, value: mine.get(path), other: theirs.get(path), change, leaves: 1 } satisfies SettingLine;
    if (shown(line)) put(root, parts, line);
  }
  return lines(root, "", 0);
}

interface Branch {
  line?: SettingLine; // a setting may stand where another run has a branch
  children: Map<string, Branch>;
}

function put(branch: Branch, parts: string[], line: SettingLine): void {
  const [part, ...rest] = parts;
  const child: Branch = branch.children.get(part) ?? { children: new Map() };
  branch.children.set(part, child);
  if (rest.length) put(child, rest, line);
  else child.line = line;
}

function lines(branch: Branch, prefix: string, depth: number): SettingLine[] {
  return [...branch.children].flatMap(([name, child]) => {
    const path = prefix ? `${prefix}.${name}` : name;
    const below = lines(child, path, depth + 1);
    const leaves = below.filter((line) => line.leaf);
    const head: SettingLine[] = below.length
      ? [{ path, name, depth, leaf: false, change: leaves.some((line) => line.change !== "same") ? "changed" : "same", leaves: leaves.length }]
      : [];
    return [...(child.line ? [child.line] : []), ...head, ...below];
  });
}

/** What is below a folded branch is left out. */
export const unfolded = (all: readonly SettingLine[], folded: ReadonlySet<string>): SettingLine[] =>
  all.filter((line) => !line.path.split(".").some((_, place, parts) => place < parts.length - 1 && folded.has(parts.slice(0, place + 1).join("."))));

// Words that YAML readers take for something else, and numbers in any of their spellings, are quoted.
const PLAIN = /^[A-Za-z_/][\w./-]*( [\w./-]+)*$/;
const TAKEN = /^(y|n|yes|no|on|off|true|false|null|nan|inf)$/i;

const scalar = (value: unknown): string => (typeof value === "string" && PLAIN.test(value) && !TAKEN.test(value) ? value : json(value));

// YAML 1.1, which PyYAML reads, takes 1e-7 for a word: a number with an exponent needs a point.
// Nor has it characters that JSON may leave as they are.
const json = (value: unknown): string =>
  typeof value === "number"
    ? JSON.stringify(value).replace(/^(-?\d+)e/, "$1.0e")
    : JSON.stringify(value).replace(/[\x7f-\x9f\u2028\u2029\ufeff]/g, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Settings as YAML in blocks; a scalar is written as in JSON, and so that also PyYAML reads it alike. */
export function yaml(value: unknown, indent = ""): string {
  const empty = value === null || typeof value !== "object" || Object.keys(value).length === 0;
  if (empty) return `${indent}${scalar(value)}\n`;
  if (Array.isArray(value)) {
    return value.map((each) => (isFlat(each) ? `${indent}- ${flow(each)}\n` : `${indent}-\n${yaml(each, `${indent}  `)}`)).join("");
  }
  return Object.entries(value)
    .map(([name, each]) => (isFlat(each) ? `${indent}${scalar(name)}: ${flow(each)}\n` : `${indent}${scalar(name)}:\n${yaml(each, `${indent}  `)}`))
    .join("");
}

const isPlain = (value: unknown) => value === null || typeof value !== "object";
const isFlat = (value: unknown) => isPlain(value) || Object.keys(value as object).length === 0 || (Array.isArray(value) && value.every(isPlain));
const flow = (value: unknown): string => (Array.isArray(value) ? `[${value.map(json).join(", ")}]` : scalar(value));

/** Settings as arguments of a POSIX shell: --model.depth=4. Lists and null are JSON. */
export const commandLine = (config: unknown): string =>
  flatten(config).map(({ path, value }) => quoted(`--${path}=${typeof value === "string" ? value : JSON.stringify(value)}`)).join(" ");

/** One word of a POSIX shell. */
export const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
