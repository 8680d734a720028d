/**
 * The language of the page. A text is keyed by its English sentence: t("Learning rate of {name}", { name }).
 *
 * English needs no catalogue and costs nothing. Another language's is one file on the wire, fetched when it is chosen
 * (src/words/<language>/<area>.ts). A sentence that it lacks is shown in English.
 */
export const LANGUAGES = { en: "English", zh: "简体中文" } as const;
export type Language = keyof typeof LANGUAGES;
export type Words = Readonly<Record<string, string>>;
export type Values = Readonly<Record<string, string | number | null | undefined>>;

let language: Language = "en";
let words: Words | null = null;

/** From here on the texts are in this language. What already stands on the page is drawn anew by whoever changes it. */
export function speak(chosen: Language, catalogue: Words | null): void {
  language = chosen;
  words = catalogue;
}

export const spoken = (): Language => language;

/** The sentence in the page's language, {name} replaced by its value. The sentence is written out where t is called:
 * a test reads the sources for it. Call it while drawing, never where a module is loaded. */
export function t(sentence: string, values?: Values): string {
  return fill(words?.[sentence] ?? sentence, values);
}

/** By the count's plural form, {n} being the count: plural(3, "{n} run", "{n} runs"). Catalogues have the second one. */
export function plural(count: number, one: string, other: string, values?: Values): string {
  const sentence = language === "en" && count === 1 ? one : (words?.[other] ?? other);
  return fill(sentence, { n: count, ...values });
}

/** A word of the server, such as a state or a role, in the page's language; a word that no one translated as it is.
 * They stand in words/<language>/terms.ts. */
export const term = (word: string): string => words?.[word] ?? word;

/** A sentence in pieces for markup inside it: texts at even places, names of what stands between them at odd ones. */
export const pieces = (sentence: string): string[] => sentence.split(/\{(\w+)\}/);

function fill(sentence: string, values?: Values): string {
  if (!values) return sentence;
  return sentence.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name] ?? "") : whole));
}

/** The first of the browser's languages that the site speaks. */
export function fromBrowser(wanted: readonly string[]): Language {
  for (const each of wanted) {
    const base = each.toLowerCase().split("-")[0];
    if (Object.hasOwn(LANGUAGES, base)) return base as Language;
  }
  return "en";
}
