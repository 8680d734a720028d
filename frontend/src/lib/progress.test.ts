import { expect, it } from "vitest";
import type { Condition } from "../api/types";
import { leftWords, progressFrom, progressOf, progressOfRow, rateWords, shareWords, stepRoom, stepWords } from "./progress";

const of = (about: Partial<Parameters<typeof progressOf>[0]>) => progressOf({ step: 250, total: 1000, stepSeconds: 0.1, moving: true, ...about });

it("tells share, rate and time left", () => {
  const found = of({});
  expect([shareWords(found), rateWords(found), leftWords(found), stepWords(found)]).toEqual(["25 %", "10 steps/s", "1 m 15 s left", "250 / 1,000"]);
});

it.each([
  [{ total: null, stepSeconds: 1 }, ["", "1 step/s", "no end known", "step 250"]],
  [{ moving: false }, ["25 %", "", "time left unknown", "250 / 1,000"]],
  [{ stepSeconds: null }, ["25 %", "", "time left unknown", "250 / 1,000"]],
  [{ step: 1200 }, ["100 %", "10 steps/s", "at its end", "1,200 / 1,000"]],
  [{ step: 999 }, ["99.9 %", "10 steps/s", "100 ms left", "999 / 1,000"]],
  [{ step: null }, ["", "10 steps/s", "time left unknown", "– / 1,000"]],
])("says what is unknown of %o", (about, words) => {
  const found = of(about);
  expect([shareWords(found), rateWords(found), leftWords(found), stepWords(found)]).toEqual(words);
});

it("takes a row's word, with the step that came since", () => {
  const row = { step: 10, total_steps: 100, step_seconds: 2 };
  expect(progressOfRow(row, null, true).left).toBe(180);
  expect(progressOfRow(row, 60, true).left).toBe(80);
  expect(leftWords(progressOfRow(row, 60, false))).toBe("time left unknown");
});

it("takes the newer step beside the server's word", () => {
  const condition = { step: 10, total_steps: 100, step_seconds: 1, eta_seconds: 90 } as Condition;
  expect(progressFrom(condition, 20).left).toBe(80);
  expect(progressFrom({ ...condition, eta_seconds: null }, 20).left).toBeNull();
});

it.each([[1000], [2_000_000], [null]])("keeps one room for a step that counts up to %o", (total) => {
  const rooms = [null, 1, 9, 10, 99, 100, 999, 1000].map((step) => stepRoom(of({ step, total })));
  expect(new Set(rooms).size).toBe(1);
  expect(rooms[0]).toBeGreaterThanOrEqual(stepWords(of({ step: 1000, total })).length);
});
