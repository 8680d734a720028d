import { expect, it } from "vitest";
import { diff, flatten } from "./tree";

it("flattens in the order written and keeps lists of plain values whole", () => {
  expect(flatten({ model: { layers: 2, sizes: [1, 2] }, seed: 0, empty: {} })).toEqual([
    { path: "model.layers", value: 2 }, { path: "model.sizes", value: [1, 2] }, { path: "seed", value: 0 },
    { path: "empty", value: {} },
  ]);
  expect(flatten({})).toEqual([]);
});

it("says which rows differ, an absent setting included", () => {
  const rows = diff([{ lr: 0.1, seed: 1 }, { lr: 0.2, seed: 1 }, { seed: 1, tag: null }]);
  expect(rows.filter((row) => row.differs).map((row) => row.path)).toEqual(["lr", "tag"]);
});
