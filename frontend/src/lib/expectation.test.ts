import { expect, it } from "vitest";
import { effectPhrase, spanWords } from "./expectation";

it.each([
  [{ effect: -0.444, low: -0.888, high: 0 }, "44 % lower (0 % to 89 % lower)"],
  [{ effect: -0.9987, low: -0.99999, high: -0.5 }, "99.8 % lower (50 % to 99.9 % lower)"],
  [{ effect: -0.28, low: -0.55, high: 0.02 }, "28 % lower (55 % lower to 2 % higher)"],
  [{ effect: 0.5, low: 0, high: 3 }, "50 % higher (no change to 4 times as much)"],
  [{ effect: 0.3, low: 0.1, high: 0.5 }, "30 % higher (10 % to 50 % higher)"],
  [{ effect: 0, low: -0.05, high: 0.05 }, "no change (5 % lower to 5 % higher)"],
  [{ effect: 0, low: 0, high: 0 }, ""], // nothing is promised, so nothing is said
  [{ effect: -0.3, low: -0.3, high: -0.3 }, "30 % lower"],
  [{ effect: 3, low: 1, high: 5, unit: "points" }, "+3 points (+1 points to +5 points)"],
  [{}, ""],
])("says %o", (expected, words) => expect(effectPhrase(expected)).toBe(words));

it("says the ends of an interval as one direction where they have one", () => {
  expect(spanWords(-0.76, -0.25)).toBe("25 % to 76 % lower");
  expect(spanWords(0, 0.4)).toBe("0 % to 40 % higher");
});
