/** Finds the sentences that a source says: the first argument of t and the third of plural, written out. */
const TEXT = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\$]|\\.)*`/;
const T = new RegExp(`(?<![\\w.$])t\\(\\s*(${TEXT.source})\\s*[,)]`, "g");
const PLURAL = new RegExp(`(?<![\\w.$])plural\\([^"'\`]*?,\\s*(?:${TEXT.source}),\\s*(${TEXT.source})`, "g");

/** A comment may show how t is called without saying anything. */
const spoken = (source: string): string => source.replace(/\/\*[^]*?\*\/|<!--[^]*?-->|^\s*\/\/.*$/gm, "");

export function sentencesOf(text: string): string[] {
  const source = spoken(text);
  return [...source.matchAll(T), ...source.matchAll(PLURAL)].map((match) => unquote(match[1]));
}

/** Calls whose sentence is not written out: a test cannot know what they say. */
export function unread(source: string): string[] {
  const rest = spoken(source).replace(T, "").replace(PLURAL, "");
  return [...rest.matchAll(/(?<![\w.$])(?:t|plural)\([^)\n]*\)?/g)].map((match) => match[0]);
}

/** The names between braces, sorted, as one text. */
export const placeholders = (sentence: string): string => [...sentence.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort().join();

function unquote(literal: string): string {
  return literal.slice(1, -1).replace(/\\(u\{?([0-9a-fA-F]+)\}?|.)/g, (_, letter: string, code?: string) => (code ? String.fromCodePoint(parseInt(code, 16)) : letter === "n" ? "\n" : letter));
}
