import { expect, it } from "vitest";
import { dayBars, gainWords, heldWords } from "./scores";

const day = (name: string, better: number, worse: number) => ({ day: name, better, same: 0, worse, unclear: 0, mean_gain: null, gains: 0 });

it("stacks a day's verdicts against the fullest day", () => {
  const [first, second] = dayBars({ days: [day("2026-01-01", 1, 0), day("2026-01-02", 1, 3)] });
  expect(first.parts).toEqual([{ verdict: "better", from: 0, to: 0.25, count: 1 }]);
  expect(second.parts.map(({ verdict, to }) => [verdict, to])).toEqual([["better", 0.25], ["worse", 1]]);
  expect(dayBars({ days: [] })).toEqual([]);
});

it.each([[null, "–"], [Math.log(2), "2 times better"], [0.2, "1.22 times better"], [-0.1, "1.11 times worse"], [0, "as forecast"]])("says a gain of %s as %s", (gain, words) => expect(gainWords(gain)).toBe(words));

it("calls intervals honest that hold as often as they say, give or take chance", () => {
  const held = (compared: number, held80: number) => heldWords({ compared, held80, held90: held80, share80: compared ? held80 / compared : null, share90: null });
  expect(held(0, 0)).toEqual({ words: "not compared yet", honest: null });
  expect([held(4, 2).honest, held(400, 200).honest, held(400, 310).honest]).toEqual([true, false, true]);
});
