import { afterEach, expect, it } from "vitest";
import { fromBrowser, pieces, plural, speak, t, term } from "./i18n";

afterEach(() => speak("en", null));

it("says the English sentence where there is no catalogue, with its values in place", () => {
  expect(t("Learning rate of {name}", { name: "a {name}" })).toBe("Learning rate of a {name}");
  expect(t("{a} of {b}", { a: 0 })).toBe("0 of {b}");
  expect(t("{a}.", { a: null })).toBe(".");
});

it("says it in the chosen language, and in English what that lacks", () => {
  speak("zh", { "Learning rate of {name}": "{name} 的学习率", running: "运行中" });
  expect(t("Learning rate of {name}", { name: "x" })).toBe("x 的学习率");
  expect(t("Batch size")).toBe("Batch size");
  expect(term("running")).toBe("运行中");
  expect(term("unheard-of")).toBe("unheard-of");
});

it("counts in the language's own way", () => {
  expect([0, 1, 2].map((n) => plural(n, "{n} run", "{n} runs"))).toEqual(["0 runs", "1 run", "2 runs"]);
  speak("zh", { "{n} runs": "{n} 个运行" });
  expect([1, 2].map((n) => plural(n, "{n} run", "{n} runs"))).toEqual(["1 个运行", "2 个运行"]);
});

it("takes a sentence apart for markup", () => expect(pieces("{name} is ready.")).toEqual(["", "name", " is ready."]));

it.each([
  [["zh-TW", "en"], "zh"], [["de", "en-GB", "zh"], "en"], [["fr"], "en"], [[], "en"], [["constructor"], "en"],
] as const)("of the languages %j takes %s", (wanted, found) => expect(fromBrowser(wanted)).toBe(found));
