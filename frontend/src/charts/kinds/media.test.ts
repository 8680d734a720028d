import { expect, it } from "vitest";
import { keysOf, readMedia } from "./media";

it("offers each key once, images first, and no files", () => {
  const found = [{ keys: [{ key: "notes", kind: "text" as const }, { key: "weights.pt", kind: "file" as const }] }, { keys: [{ key: "samples", kind: "image" as const }, { key: "notes", kind: "text" as const }] }];
  expect(keysOf(found)).toEqual([{ key: "samples", kind: "image" }, { key: "notes", kind: "text" }]);
});

it.each([[{}, { key: "", runs: 6 }], [{ key: 7, runs: 99 }, { key: "", runs: 12 }], [{ key: "samples", runs: 2 }, { key: "samples", runs: 2 }]])("reads %j with care", (options, read) =>
  expect(readMedia(options)).toEqual(read));
