import { expect, it } from "vitest";
import { placesOf } from "./placed";

it("tells the nodes of all attempts, newest first, with the run's GPUs on each", () => {
  const attempts = [
    { node: "a", nodes: ["a"], devices: ["gpu10", "gpu2"] },
    { node: "b", nodes: ["b", "c"], devices: ["gpu0", "c/gpu1", "cpu3"] },
    { node: "b", nodes: ["b"], devices: ["gpu4"] },
  ];
  expect(placesOf(attempts, "")).toEqual([{ node: "b", gpus: ["gpu0", "gpu4"] }, { node: "c", gpus: ["gpu1"] }, { node: "a", gpus: ["gpu2", "gpu10"] }]);
});

it("takes the process's word where there is no job, and no word for none", () => {
  expect(placesOf([], "lab")).toEqual([{ node: "lab", gpus: [] }]);
  expect(placesOf([], "")).toEqual([]);
});
