/** The colours: those of runs are told from each other and seen on their ground, and words are read on each of theirs. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

type Triple = [number, number, number];
const css = readFileSync(new URL("./tokens.css", import.meta.url), "utf8");
const themes = { light: css.slice(0, css.indexOf("@media")), dark: css.slice(css.indexOf(':root[data-theme="dark"]')) };
const value = (text: string, name: string) => new RegExp(`--${name}: (#[0-9a-f]{6})`).exec(text)?.[1] ?? "";
const linear = (hex: string) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)) as Triple;
const times = (matrix: number[][], v: Triple) => matrix.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]) as Triple;

// OKLab: Ottosson 2020. Red and green seen badly: Machado, Oliveira and Fernandes 2009, severity 1.
const oklab = (rgb: Triple) =>
  times([[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099], [0.0259040371, 0.7827717662, -0.808675766]],
    times([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]], rgb).map(Math.cbrt) as Triple);
const SEEN = {
  whole: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  "without red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  "without green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
};
const light = (rgb: Triple) => 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
const cases = Object.entries(themes).flatMap(([theme, text]) => Object.entries(SEEN).map(([how, matrix]) => ({ theme, text, how, matrix })));

it.each(cases)("is told apart in the $theme theme, seen $how", ({ text, matrix }) => {
  const seen = Array.from({ length: 12 }, (_, i) => oklab(times(matrix, linear(value(text, `series-${i + 1}`))).map((c) => Math.min(1, Math.max(0, c))) as Triple));
  const nearest = (among: Triple[]) => Math.min(...among.flatMap((a, i) => among.slice(0, i).map((b) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]))));
  expect(nearest(seen.slice(0, 6))).toBeGreaterThan(0.13);
  expect(nearest(seen)).toBeGreaterThan(0.08);
});

const contrast = (text: string, own: string, ground: string) => {
  const [a, b] = [own, ground].map((name) => light(linear(value(text, name))) + 0.05);
  return Math.max(a, b) / Math.min(a, b);
};

it.each(Object.entries(themes))("stands out from its ground in the %s theme", (_, text) => {
  for (let i = 1; i <= 12; i++) expect(contrast(text, `series-${i}`, "surface")).toBeGreaterThan(3);
});

// WCAG 2.2, 1.4.3. A row that is pointed at or chosen has another ground than the page.
const GROUNDS = ["ground", "surface", "sunken", "hover", "accent-soft", "quiet-soft"];
const WORDS = [
  ...["text", "text-2", "text-3"].flatMap((own) => GROUNDS.map((ground) => [own, ground])),
  ...["good", "warn", "bad"].flatMap((own) => [`${own}-soft`, "surface", "hover"].map((ground) => [own, ground])),
  ...["surface", "ground", "hover", "accent-soft"].map((ground) => ["accent-text", ground]), ["on-accent", "accent"],
];
it.each(Object.entries(themes).flatMap(([theme, text]) => WORDS.map(([own, ground]) => ({ theme, text, own, ground }))))(
  "reads $own on $ground in the $theme theme", ({ text, own, ground }) => expect(contrast(text, own, ground)).toBeGreaterThanOrEqual(4.5),
);
