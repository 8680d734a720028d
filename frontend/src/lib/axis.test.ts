import { expect, it } from "vitest";
import { axisOf, rounds } from "./axis";

const write = String;

it.each([[0, 10, [0, 2, 4, 6, 8, 10]], [0.01, 0.093, [0.02, 0.04, 0.06, 0.08]], [-3, 3, [-2, 0, 2]], [1e9, 1.4e9, [1e9, 1.1e9, 1.2e9, 1.3e9, 1.4e9]]])(
  "between %d and %d round values are %j", (low, high, values) => expect(rounds(low, high, 5)).toEqual(values));

it("is logarithmic where positive values lie far apart, unless it is told otherwise", () => {
  const rates = axisOf([1e-5, 1e-3, 1e-1], write);
  expect([rates.log, rates.share(1e-3), rates.share("NaN"), rates.ticks.map(({ label }) => label)]).toEqual([true, expect.closeTo(0.5), NaN, ["0.00001", "0.0001", "0.001", "0.01", "0.1"]]);
  expect(rates.value(0.5)).toBeCloseTo(1e-3);
  expect(axisOf([1e-5, 1e-1], write, false).log).toBe(false);
  expect(axisOf([-1, 1, 100], write).log).toBe(false); // what is negative has no place there
  const asked = axisOf([-1, 0, 1, 100], write, true);
  expect([asked.log, ...[-1, 0, 1, 10, 100].map(asked.share)]).toEqual([true, NaN, NaN, 0, 0.5, 1]);
  expect(axisOf([-1, -100], write, true).log).toBe(false);
});

it("has a place for each word, and for a value that is the same everywhere", () => {
  const words = axisOf(["sgd", "adam", "sgd", null], write);
  expect([words.words, words.share("sgd"), words.share("none")]).toEqual([["adam", "sgd"], 1, NaN]);
  expect(axisOf([3, 3], write).share(3)).toBeCloseTo(0.5);
  expect(axisOf([2, "NaN"], write).words).toEqual([]);
  expect(axisOf([], write).ticks).toEqual([]);
});
