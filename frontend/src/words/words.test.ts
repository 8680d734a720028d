/** Reads every source for the sentences it says, and holds each language's catalogues against them. */
import { describe, expect, it } from "vitest";
import type { Words } from "../lib/i18n";
import { areaOf, COMPLETE } from "./areas";
import { placeholders, sentencesOf, unread } from "./read";

const sources = Object.entries(import.meta.glob<string>(["../**/*.{svelte,ts}", "!../**/*.test.ts", "!../words/**", "!../lib/i18n.ts"], { eager: true, query: "?raw", import: "default" }))
  .map(([path, text]) => ({ file: path.replace(/^\.\./, "src"), text }));
const catalogues = Object.entries(import.meta.glob<Words>(["./zh/*.ts", "!./zh/index.ts", "!./zh/server.ts"], { eager: true, import: "default" }))
  .map(([path, words]) => ({ area: path.replace(/^.*\/|\.ts$/g, ""), words }));

const said = new Map<string, Set<string>>(); // sentence -> areas that say it
for (const { file, text } of sources) for (const sentence of sentencesOf(text)) said.set(sentence, (said.get(sentence) ?? new Set()).add(areaOf(file)));
const translated = new Map(catalogues.flatMap(({ words }) => Object.entries(words)));

describe("Simplified Chinese", () => {
  it("has every sentence of the areas that are complete", () => {
    const missing = [...said].filter(([sentence]) => !translated.has(sentence));
    const counts: Record<string, number> = {};
    for (const [, areas] of missing) for (const area of areas) counts[area] = (counts[area] ?? 0) + 1;
    if (missing.length) console.info("Sentences without a translation, by area:", counts);
    expect(missing.filter(([, areas]) => [...areas].some((area) => COMPLETE.includes(area))).map(([sentence]) => sentence)).toEqual([]);
  });

  it.each(catalogues)("has nothing in $area that no page says", ({ area, words }) => {
    // The server's words come by variables, which no reading of the sources finds.
    expect(area === "terms" ? [] : Object.keys(words).filter((sentence) => !said.has(sentence))).toEqual([]);
  });

  it.each(catalogues)("keeps in $area the values of each sentence, and leaves none empty", ({ words }) => {
    const broken = Object.entries(words).filter(([english, chinese]) => !chinese.trim() || placeholders(english) !== placeholders(chinese));
    expect(broken).toEqual([]);
  });

  it("says a sentence of two areas alike", () => {
    const differing = catalogues.flatMap(({ area, words }) => Object.entries(words).filter(([sentence, text]) => translated.get(sentence) !== text).map(([sentence]) => `${area}: ${sentence}`));
    expect(differing).toEqual([]);
  });
});

it("finds every sentence written out, so that it can be translated", () => {
  expect(sources.flatMap(({ file, text }) => unread(text).map((call) => `${file}: ${call}`))).toEqual([]);
});

it.each([
  ['t("One")', ["One"]],
  ['{t("A \\"quoted\\" one", { a })} {t(\'Two\')} {t(`Three`)}', ['A "quoted" one', "Two", "Three"]],
  ['plural(list.length, "{n} run", "{n} runs")', ["{n} runs"]],
  ['plural(f(a, b), "{n} run",\n  "{n} runs", { a })', ["{n} runs"]],
  ['// t("no")\n/* t("no") */ <!-- t("no") --> t("yes")', ["yes"]],
  ['at("no"); it("no"); object.t("no")', []],
])("reads %s", (text, sentences) => expect(sentencesOf(text)).toEqual(sentences));

it("tells of a sentence that is not written out", () => {
  expect(unread("t(name)")).toEqual(["t(name)"]);
  expect(unread("t(`a ${b}`)")).toHaveLength(1);
  expect(unread('t("fine"); let t = 3; plural(n, a, b)')).toEqual(["plural(n, a, b)"]);
});
