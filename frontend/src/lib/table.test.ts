import { expect, it } from "vitest";
import type { RunColumns } from "../api/types";
import { differing, equalSettings, headOf, isAskable, isFigure, labelOf, usualColumns, valueOf, type RunRow } from "./table";

const run = (config: Record<string, unknown>, summary: Record<string, number | string>, more = {}): RunRow =>
  ({ code: "c", state: "finished", config, summary, name: "n", tags: ["a", "b"], ...more }) as RunRow;
const runs = [
  run({ lr: 0.1, model: { depth: 2 }, seed: 1 }, { loss: 0.5 }, { lows: { loss: 0.25 }, usage: { cost: 2 } }),
  run({ lr: 0.2, model: { depth: 2 }, seed: 2 }, { loss: "NaN", reward: 3 }),
];

it.each([
  ["config:model.depth", 2], ["metric:loss", 0.5], ["min:loss", 0.25], ["max:loss", undefined], ["metric:reward", undefined],
  ["tags", "a, b"], ["cost", 2], ["state", "finished"], ["duration", null],
])("reads %s", (id, value) => expect(valueOf(runs[0], id)).toBe(value));

it("reads what is no number as none, and a narrow row's settings by their path", () => {
  expect(valueOf(runs[1], "metric:loss")).toBeNaN();
  expect(valueOf(run({ "model.depth": 4 }, {}), "config:model.depth")).toBe(4);
});

it("has the name of a key as it is, and says which end is meant", () =>
  expect(["config:model.depth", "min:loss", "last_step"].map(labelOf)).toEqual(["model.depth", "min loss", "Step"]));

it("shows the settings that tell runs apart first, then the goal and a loss", () =>
  expect(usualColumns(runs, "reward")).toEqual(["state", "config:lr", "metric:reward", "metric:loss", "last_step", "config:seed", "created_at"]));

it("tells how far runs are where some go on, which is nothing to sort by", () => {
  const going = run({}, {}, { state: "running", progress: { step: 25, total_steps: 100, step_seconds: 1 } });
  expect(usualColumns([going], "")).toContain("progress");
  expect([valueOf(going, "progress"), valueOf(run({}, {}), "progress")]).toEqual([0.25, undefined]);
  expect(["progress", "last_step"].map(isAskable)).toEqual([false, true]);
});

it("takes a run that waits for no run without settings, and puts seeds and paths last", () => {
  const more = [run({}, {}), run({ a: "/".repeat(40), lr: 1, seed: 1 }, {}), run({ a: "/".repeat(41), lr: 1, seed: 2, z: 1 }, {})];
  expect(usualColumns(more, "")).toEqual(["state", "config:z", "last_step", "config:seed", "config:a", "created_at"]);
});

it.each([
  ["metric:val/accuracy", "accuracy", "val"], ["config:model.depth", "depth", "model"], ["min:val/loss", "loss min", "val"],
  ["config:lr", "lr", ""], ["last_step", "Step", ""], ["metric:/odd", "/odd", ""], ["metric:odd/", "odd/", ""],
])("heads %s by its last part", (id, last, under) => expect(headOf(id)).toEqual({ last, under }));

it("leaves out settings that are the same for all, and nothing else", () => {
  const known = {
    settings: [
      { path: "lr", differs: true, runs: 3, values: ["1", "2"] }, { path: "data", differs: false, runs: 4, values: ["digits"] },
      { path: "some", differs: true, runs: 3, values: ["1"] }, { path: "batch", differs: true, runs: 4, values: ["64"] },
    ],
  } as RunColumns;
  expect(equalSettings(known)).toEqual([{ path: "data", value: "digits" }, { path: "batch", value: "64" }]);
  expect(differing(known, ["state", "config:lr", "config:data", "metric:data"])).toEqual(["state", "config:lr", "metric:data"]);
  expect(differing(undefined, ["config:data"])).toEqual(["config:data"]);
});

it("knows figures from words", () => expect(["max:loss", "duration", "config:lr", "tags"].map(isFigure)).toEqual([true, true, false, false]));
