import { expect, it } from "vitest";
import type { RunRow, RunsContext } from "../panels/context";
import { barRows, binsOf, firstKey } from "./columns";

const row = (code: string, loss: unknown, colour = ""): RunRow => ({ code, name: code, state: "finished", colour, values: { "metric:loss": loss } });
const rows = [row("a", 1), row("b", 3, "--series-1"), row("c", "NaN"), row("d", 2), row("e", null)];

it("bars stand by their value, and runs without one are counted", () => {
  const { bars, without } = barRows(rows, "metric:loss", null);
  expect([bars.map(({ id }) => id), without]).toEqual([["b", "d", "a"], 2]);
});

it("a group's bar is the mean of its runs, hidden or not, with their deviation", () => {
  const { bars } = barRows(rows, "metric:loss", [{ name: "g", colour: "x", sources: ["run:a"], members: ["a", "b", "c"], runs: 3 }, { name: "none", colour: "x", sources: ["run:e"], members: ["e"], runs: 1 }]);
  expect(bars).toEqual([{ id: "g", name: "g", href: null, colour: "x", value: 2, deviation: Math.SQRT2 }]);
});

it("every run is in one bin, the greatest in the last", () => {
  const many = Array.from({ length: 100 }, (_, i) => row(`r${i}`, i / 10, i < 10 ? "c" : ""));
  const { bins, without } = binsOf([...many, row("x", null)], "metric:loss", 10);
  expect([bins.map((bin) => bin.count), bins[0].drawn, without]).toEqual([Array(10).fill(10), 10, 1]);
  expect(binsOf(many, "metric:loss").bins.length).toBeGreaterThan(3);
  expect(binsOf([row("a", 2), row("b", 2)], "metric:loss").bins).toMatchObject([{ from: 1, to: 3, count: 2 }]);
  expect(binsOf([row("a", null)], "metric:loss")).toEqual({ bins: [], without: 1 });
});

it.each([
  [["acc", "loss", "val/loss"], "", "loss"], [["acc", "loss", "val/loss"], "acc", "acc"], [["acc", "train_loss", "val_loss"], "", "val_loss"],
  [["aux/loss", "val/lossless"], "", "aux/loss"], [["_loss", "epoch", "grad_norm", "test.accuracy"], "", "test.accuracy"], [["epoch", "grad_norm", "lr"], "", "grad_norm"],
  [["_cpu", "epoch"], "", "epoch"], [["_cpu"], "", "_cpu"], [[], "", ""],
])("of %j with the goal %j a panel begins with %j", (keys, goal, first) =>
  expect(firstKey({ keys, runs: { goal } as RunsContext })).toBe(first));
