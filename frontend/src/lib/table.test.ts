import { expect, it } from "vitest";
import type { Run } from "../api/types";
import { configColumns, heldOrder, labelOf, usualColumns, valueOf } from "./table";

const run = (config: Record<string, unknown>, summary: Record<string, number | string>) => ({ config, summary, name: "n", tags: [] }) as unknown as Run;
const runs = [run({ lr: 0.1, model: { depth: 2 }, seed: 1 }, { loss: 0.5 }), run({ lr: 0.2, model: { depth: 2 }, seed: 2 }, { loss: "NaN", reward: 3 })];

it("puts settings that differ first", () =>
  expect(configColumns(runs)).toEqual([
    { id: "config:lr", differs: true }, { id: "config:seed", differs: true }, { id: "config:model.depth", differs: false },
  ]));

it("reads metrics and settings", () => {
  expect(valueOf(runs[0], "config:model.depth")).toBe(2);
  expect(valueOf(runs[1], "metric:loss")).toBeNaN();
  expect(valueOf(runs[0], "metric:reward")).toBeUndefined();
  expect(labelOf("config:model.depth")).toBe("model.depth");
});

it("shows the goal first", () =>
  expect(usualColumns(runs, "reward")).toEqual(["state", "metric:reward", "metric:loss", "step", "config:lr", "config:seed", "created"]));

it("keeps rows where a person looks at them, and puts what is new at the end", () => {
  const rows = ["new", "c", "a", "b"].map((code) => ({ code }));
  expect(heldOrder(rows, ["a", "b", "c", "gone"]).map((row) => row.code)).toEqual(["a", "b", "c", "new"]);
  expect(heldOrder(rows, null)).toBe(rows);
});
