import { expect, it } from "vitest";
import type { Tunable } from "../api/types";
import type { PastValue } from "./change";
import { lowerOf } from "./lower";

const rate = (value: number, more: Partial<Tunable> = {}): Tunable => ({ name: "lr", kind: "float", value, initial: value, low: 1e-4, high: 10, scale: "log", role: "learning_rate", ...more }) as Tunable;
const past = (...values: [step: number, value: number][]): PastValue[] => values.map(([step, value]) => ({ step, value, by: "ada", why: "", command: null }));

it("offers the last rate that worked, a half and a tenth, each with its reason", () => {
  expect(lowerOf(rate(0.195), past([0, 0.03], [381, 0.195]), 390)).toEqual([
    { value: 0.03, why: "worked until step 381" }, { value: 0.0975, why: "a half" }, { value: 0.0195, why: "a tenth" },
  ]);
});

it("takes no value for one that worked which came after, was there for moments, or is higher", () => {
  const plain = ["a half", "a tenth"];
  const why = (of: PastValue[], broken: number) => lowerOf(rate(0.2), of, broken).map((each) => each.why);
  expect(why(past([0, 0.2]), 300)).toEqual(plain);
  expect(why(past([0, 0.5], [100, 0.2]), 300)).toEqual(plain);
  expect(why(past([0, 0.01], [5, 0.2]), 300)).toEqual(plain);
  expect(why(past([0, 0.01], [400, 0.2]), 300)).toEqual(plain);
  // A fine one before two that were not.
  expect(why(past([0, 0.03], [100, 0.4], [103, 0.2]), 110)).toEqual(["worked until step 100", ...plain]);
});

it("says each value once, and none below its bound", () => {
  expect(lowerOf(rate(0.2), past([0, 0.1], [50, 0.2]), 60).map(({ value }) => value)).toEqual([0.1, 0.02]);
  expect(lowerOf(rate(0.0005), past([0, 0.0005]), 60).map(({ value }) => value)).toEqual([0.00025]);
  expect(lowerOf(rate(0), [], 60)).toEqual([]);
});
