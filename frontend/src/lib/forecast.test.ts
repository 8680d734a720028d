import { describe, expect, it } from "vitest";
import type { Branch } from "./branches";
import type { Part } from "./columns";
import { columnsOf } from "./columns.made";
import { pictureOf, stepsOf, valueTicks } from "./forecast";

const FRAME = { width: 400, height: 160, leftPad: 40, bottomPad: 20 };
const part = (branch: number, from: number, to: number, value: number): Part => {
  const step = Array.from({ length: to - from + 1 }, (_, i) => from + i);
  return { branch, faded: branch === 0, bucket: 1, exact: true, nonFinite: [], columns: columnsOf({ step, x: step, mean: step.map(() => value) }) };
};
const at = (second: number): string => new Date(Date.UTC(2026, 10, 26, 12, 0, second)).toISOString();
const branches: Branch[] = [{ index: 0, from_step: 0, reason: "start", at: at(0) }, { index: 1, from_step: 250, reason: "rollback", at: at(31) }];
const rescue = {
  verb: "rollback", state: "judged", created_at: at(30), decided_step: 400, applied_step: 250, judge_at_step: 350,
  evidence: { window: [305, 400], onset_step: 305, changed_step: 302, checkpoint_step: 250 }, expected: { metric: "loss" },
  forecast: { metric: "loss", steps: [400, 500], mean: [2, 2], low: [1.8, 1.8], high: [2.2, 2.2] },
  measured: { window: [290, 350] },
} as unknown as Parameters<typeof pictureOf>[0];
const parts = [part(0, 0, 304, 0.2), part(0, 305, 400, 2), part(1, 251, 600, 0.1)];
const numbers = (points: string) => points.split(" ").filter(Boolean).map((pair) => pair.split(",").map(Number));

it("draws a rescue: what was left behind, then what came beside the forecast of not acting", () => {
  const picture = pictureOf(rescue, parts, branches, FRAME)!;
  expect(picture.marks.map(({ kind, step }) => `${kind} ${step}`)).toEqual(["checkpoint 250", "set 302", "onset 305", "decided 400"]);
  expect(picture.marks.map(({ x }) => x)).toEqual([...picture.marks.map(({ x }) => x)].sort((a, b) => a - b));
  // Both start at the decision and run over the same width, a step of one beside a step of the other.
  expect(numbers(picture.forecast)[0][0]).toBeCloseTo(picture.decidedX, 0);
  const horizon = numbers(picture.forecast)[1][0];
  const after = numbers(picture.after);
  expect(after[0][0]).toBeGreaterThan(picture.decidedX);
  expect(after[99][0]).toBeCloseTo(horizon, 0); // step 350 of the new branch, 100 steps on
  expect(after[0][1]).toBeGreaterThan(numbers(picture.forecast)[0][1]); // lower loss, further down
  expect(numbers(picture.left).length).toBe(151); // 250 to 400 of the old branch
  expect(picture.judged![1]).toBeCloseTo(horizon, 0);
  expect(picture.xs.length).toBeGreaterThan(2);
  expect(picture.ys.map(({ label }) => label)).toContain("1");
});

it("shows a change of a setting as one line that goes on, with the steps as they are", () => {
  const trial = { ...rescue, verb: "set", decided_step: 300, applied_step: 303, judge_at_step: 403, evidence: { window: [200, 300] }, forecast: { metric: "loss", steps: [300, 400], mean: [0.2, 0.2] }, created_at: at(20) };
  const picture = pictureOf(trial, [part(0, 0, 450, 0.2)], branches.slice(0, 1), FRAME)!;
  expect([picture.left, picture.marks.length]).toEqual(["", 1]);
  expect(numbers(picture.before).at(-1)![0]).toBeCloseTo(numbers(picture.after)[0][0], 0);
  expect(stepsOf(trial)).toEqual({ from: 165, to: 300, horizon: 100, start: 300, end: 450 });
});

it("uses powers of ten where a level scale would press the rest flat", () => {
  const wild = pictureOf(rescue, [part(0, 0, 304, 0.002), part(0, 305, 400, 4e6), part(1, 251, 600, 0.001)], branches, FRAME)!;
  expect(wild.ys.map(({ label }) => label)).toEqual(["0.001", "1", "1,000", "1M"]);
  expect(wild.log).toBe(true);
  // A forecast that was made in logarithms is drawn in them sooner: ten times the range is enough.
  const tenfold = [part(0, 0, 304, 0.2), part(0, 305, 400, 2.4), part(1, 251, 600, 0.2)];
  expect(pictureOf(rescue, tenfold, branches, FRAME)!.log).toBe(false);
  expect(pictureOf({ ...rescue, forecast: { ...rescue.forecast, log: true } }, tenfold, branches, FRAME)!.log).toBe(true);
  expect(pictureOf(rescue, parts, branches, FRAME)!.log).toBe(false);
});

it("keeps a single spike from pressing the rest flat, and draws the running median", () => {
  const spiked = [part(0, 0, 304, 0.2), part(0, 305, 400, 2), part(1, 251, 600, 0.1)];
  spiked[2].columns.mean[40] = 1e9;
  const picture = pictureOf(rescue, spiked, branches, FRAME)!;
  expect(picture.log).toBe(false);
  expect(Math.min(...numbers(picture.points.after).map(([, y]) => y))).toBe(26); // held at the top
  expect(new Set(numbers(picture.after).map(([, y]) => y)).size).toBe(1);
});

it("draws nothing from nothing", () => {
  expect(pictureOf(rescue, [], branches, FRAME)).toBeNull();
  const blind = { ...rescue, forecast: { metric: "loss", steps: [], mean: [] } };
  expect(pictureOf(blind, parts, branches, FRAME)!.forecast).toBe("");
});

describe("ticks of values", () => {
  it("are few and round", () => {
    expect(valueTicks(0.2, 2.9, false)).toEqual([1, 2]);
    expect(valueTicks(0.1, 1000, true)).toEqual([0.1, 10, 1000]);
  });

  it.each([[1, Infinity], [1e300, 1e300 * (1 + 3e-16)], [0, 1e308], [-1e308, 1e308], [1e-320, 1.7e308]])("come to an end from %d to %d", (low, high) => {
    for (const log of [true, false]) {
      const found = valueTicks(low, high, log);
      expect(found.length).toBeLessThan(8);
      expect(found.every(Number.isFinite)).toBe(true);
    }
  });
});
