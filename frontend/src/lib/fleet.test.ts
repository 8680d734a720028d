import { describe, expect, it } from "vitest";
import type { Device, Node } from "../api/types";
import { HEAT_METRICS, heatCells, heatRows, lanesOf, standingOf, stillHere } from "./fleet";

const device = (kind: "cpu" | "gpu", index: number) => ({ kind, index, latest: { power_limit_watts: 700 }, memory_total_bytes: 80 }) as unknown as Device;
const node = (name: string, ...devices: Device[]) => ({ name, devices }) as unknown as Node;

describe("the heat map", () => {
  it("has a row for each GPU and none for slots of a CPU", () => {
    const rows = heatRows([node("a", device("cpu", 0), device("gpu", 0), device("gpu", 1)), node("b", device("gpu", 0))], HEAT_METRICS[0]);
    expect(rows.map((row) => `${row.node} ${row.key}`)).toEqual(["a gpu0/utilisation_ratio", "a gpu1/utilisation_ratio", "b gpu0/utilisation_ratio"]);
  });

  it("gives the mean of each stretch as a share, and nothing where there was no reading", () => {
    const columns = { time: new Float64Array([0, 5, 10, 35, 99]), mean: new Float64Array([10, 30, 40, NaN, 5]) };
    expect([...heatCells(columns, 0, 40, 4, 80)]).toEqual([0.25, 0.5, NaN, NaN]);
    expect([...heatCells(undefined, 0, 40, 2, 1)]).toEqual([NaN, NaN]);
  });

  it("knows what full is for each metric", () => {
    expect(HEAT_METRICS.map((metric) => metric.full(device("gpu", 0)))).toEqual([1, 80, 90, 700]);
  });
});

it("lays a node's past in lanes by device, in the order of people", () => {
  const at = (hour: number) => `2026-11-26T${String(hour).padStart(2, "0")}:00:00Z`;
  const lanes = lanesOf(
    [
      { devices: ["gpu10", "gpu2"], name: "a", start: at(6), end: at(12) },
      { devices: ["gpu2"], name: "b", start: at(18), end: null },
    ],
    (thing) => thing, at(0), "2026-11-27T00:00:00Z",
  );
  expect(lanes.map((lane) => lane.device)).toEqual(["gpu2", "gpu10"]);
  expect(lanes[0].items.map(({ left, width, item }) => [left, width, item.name])).toEqual([[0.25, 0.25, "a"], [0.75, 0.25, "b"]]);
});

it.each([
  [{ busy: true }, {}, "ours"],
  [{ busy: false }, { utilisation_ratio: 0.9 }, "others"],
  [{ busy: false }, { utilisation_ratio: 0, memory_used_bytes: 30 }, "others"],
  [{ busy: false }, { utilisation_ratio: 0.02, memory_used_bytes: 1 }, "free"],
  [{ busy: false, kind: "cpu" }, { utilisation_ratio: 0.9 }, "free"],
  [{ busy: true, healthy: false }, {}, "ill"],
])("tells who a device works for: %j %j", (more, latest, standing) =>
  expect(standingOf({ kind: "gpu", healthy: true, memory_total_bytes: 100, latest, ...more } as Device)).toBe(standing));

it("tells each run that is still on a node once, and devices of other projects by their number", () => {
  const held = (busy_with: string | null, busy_with_name: string | null = null) => ({ busy: true, busy_with, busy_with_name }) as unknown as Device;
  const free = { busy: false, busy_with: null, busy_with_name: null } as unknown as Device;
  expect(stillHere({ devices: [held("a", "bold-otter"), held("a", "bold-otter"), held("b", "calm-fox"), held(null), free] })).toEqual({
    runs: [{ code: "a", name: "bold-otter" }, { code: "b", name: "calm-fox" }],
    others: 1,
  });
  expect(stillHere({ devices: [free] })).toEqual({ runs: [], others: 0 });
});
