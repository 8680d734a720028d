/**
 * Arithmetic over metrics, as a panel draws it: `1 - acc`, `loss / val/loss`, `log10("odd name (x)")`.
 *
 * Numbers, + - * / ^ and parentheses, a few functions, and names of metrics. Where a name could be read in two ways
 * (`loss/acc`: a key, or a quotient) the longest known key wins; anything at all can be a name between double quotes.
 * The text is parsed into a tree that is walked over: none of it is ever run as code.
 */
import { t } from "./i18n";

export type Tree =
  | { kind: "number"; value: number }
  | { kind: "key"; key: string }
  | { kind: "call"; name: string; of: Tree[] };

export interface Parsed {
  tree: Tree | null;
  keys: string[];
  error: string; // in words, or ""
}

type Operation = { least: number; most: number; work: (...values: number[]) => number };
const one = (work: (value: number) => number): Operation => ({ least: 1, most: 1, work });
const FUNCTIONS: Record<string, Operation> = {
  abs: one(Math.abs), sqrt: one(Math.sqrt), exp: one(Math.exp), log: one(Math.log), log10: one(Math.log10), log2: one(Math.log2),
  min: { least: 2, most: 8, work: Math.min }, max: { least: 2, most: 8, work: Math.max },
};
const OPERATORS: Record<string, (a: number, b: number) => number> = {
  "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b, "^": (a, b) => a ** b,
};
const isFunction = (name: string): boolean => Object.hasOwn(FUNCTIONS, name);
const LONGEST = 1000;
const DEEPEST = 50;
const NUMBER = /^(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?/;
const NAME = /^[\p{L}_][\p{L}\p{N}_.]*(\/[\p{L}_][\p{L}\p{N}_.]*)*/u;

class Wrong extends Error {}

export function parseExpression(text: string, known: readonly string[] = []): Parsed {
  const keys = new Set<string>();
  try {
    if (!text.trim()) throw new Wrong(t("Write a metric, or a calculation such as 1 - acc."));
    if (text.length > LONGEST) throw new Wrong(t("The expression is longer than {n} characters.", { n: LONGEST }));
    const tree = new Parser(text, known, keys).whole();
    if (!keys.size) throw new Wrong(t("The expression names no metric."));
    return { tree, keys: [...keys], error: "" };
  } catch (error) {
    if (error instanceof Wrong) return { tree: null, keys: [], error: error.message };
    throw error;
  }
}

/** A key as it is to be written in an expression. */
export const quoted = (key: string): string => (NAME.exec(key)?.[0] === key && !isFunction(key) ? key : `"${key.replaceAll('"', '""')}"`);

export function evaluate(tree: Tree, value: (key: string) => number): number {
  if (tree.kind === "number") return tree.value;
  if (tree.kind === "key") return value(tree.key);
  const of = tree.of.map((part) => evaluate(part, value));
  return Object.hasOwn(OPERATORS, tree.name) ? OPERATORS[tree.name](of[0], of[1]) : FUNCTIONS[tree.name].work(...of);
}

class Parser {
  private at = 0;
  private depth = 0;
  private readonly first = new Map<string, string[]>(); // known keys by their first character, longest first

  constructor(
    private readonly text: string,
    known: readonly string[],
    private readonly keys: Set<string>,
  ) {
    for (const key of known) this.first.set(key[0], [...(this.first.get(key[0]) ?? []), key]);
    for (const list of this.first.values()) list.sort((a, b) => b.length - a.length);
  }

  whole(): Tree {
    const tree = this.sum();
    if (this.peek()) throw new Wrong(t("Expected an operator at “{rest}”.", { rest: this.rest() }));
    return tree;
  }

  private sum = (): Tree => this.chain(["+", "-"], () => this.product());
  private product = (): Tree => this.chain(["*", "/"], () => this.signed());

  private chain(operators: string[], next: () => Tree): Tree {
    let tree = next();
    while (operators.includes(this.peek())) {
      const name = this.text[this.at++];
      tree = { kind: "call", name, of: [tree, next()] };
    }
    return tree;
  }

  private signed(): Tree {
    if (this.peek() !== "-") return this.power();
    this.at += 1;
    return { kind: "call", name: "-", of: [{ kind: "number", value: 0 }, this.deeper(() => this.signed())] };
  }

  private power(): Tree {
    const base = this.operand();
    if (this.peek() !== "^") return base;
    this.at += 1;
    return { kind: "call", name: "^", of: [base, this.deeper(() => this.signed())] };
  }

  private operand(): Tree {
    const next = this.peek();
    if (!next) throw new Wrong(t("The expression ends too soon."));
    if (next === "(") return this.inside();
    if (next === '"') return this.key(this.quotedName());
    const rest = this.text.slice(this.at);
    const number = NUMBER.exec(rest)?.[0];
    const key = this.knownKey(rest);
    if (key && key.length > (number?.length ?? 0)) return this.taken(key);
    if (number) {
      this.at += number.length;
      return { kind: "number", value: Number(number) };
    }
    const name = NAME.exec(rest)?.[0];
    if (!name) throw new Wrong(t("Expected a metric or a number at “{rest}”. A name with other characters stands between double quotes.", { rest: this.rest() }));
    if (isFunction(name) && /^\s*\(/.test(rest.slice(name.length))) return this.call(name);
    return this.taken(name);
  }

  private knownKey(rest: string): string | undefined {
    return this.first.get(rest[0])?.find((key) => rest.startsWith(key) && !/^[\p{L}\p{N}_.]/u.test(rest.slice(key.length)) && !(isFunction(key) && /^\s*\(/.test(rest.slice(key.length))));
  }

  private taken(key: string): Tree {
    this.at += key.length;
    return this.key(key);
  }

  private key(key: string): Tree {
    this.keys.add(key);
    return { kind: "key", key };
  }

  private call(name: string): Tree {
    this.at += name.length;
    const { least, most } = FUNCTIONS[name];
    this.peek();
    this.at += 1;
    const of = [this.deeper(() => this.sum())];
    while (this.peek() === ",") {
      this.at += 1;
      of.push(this.deeper(() => this.sum()));
    }
    this.close();
    if (of.length < least || of.length > most) throw new Wrong(t("{name} takes {least} to {most} values, not {n}.", { name, least, most, n: of.length }));
    return { kind: "call", name, of };
  }

  private inside(): Tree {
    this.at += 1;
    const tree = this.deeper(() => this.sum());
    this.close();
    return tree;
  }

  private close(): void {
    if (this.peek() !== ")") throw new Wrong(this.at < this.text.length ? t("Expected “)” at “{rest}”.", { rest: this.rest() }) : t("A “)” is missing at the end."));
    this.at += 1;
  }

  private quotedName(): string {
    const found = /^"((?:[^"]|"")*)"/.exec(this.text.slice(this.at));
    if (!found) throw new Wrong(t("A double quote is missing at the end of a name."));
    if (!found[1]) throw new Wrong(t("There is no name between the double quotes."));
    this.at += found[0].length;
    return found[1].replaceAll('""', '"');
  }

  private deeper(next: () => Tree): Tree {
    if ((this.depth += 1) > DEEPEST) throw new Wrong(t("The expression is nested deeper than {n} levels.", { n: DEEPEST }));
    const tree = next();
    this.depth -= 1;
    return tree;
  }

  private peek(): string {
    while (/\s/.test(this.text[this.at] ?? "")) this.at += 1;
    return this.text[this.at] ?? "";
  }

  private rest = (): string => {
    const rest = this.text.slice(this.at);
    return rest.length > 20 ? `${rest.slice(0, 19)}…` : rest;
  };
}
