import { describe, expect, it } from "vitest";
import type { Run } from "../api/types";
import { compareCells, searchRuns } from "./filter";

const run = { name: "digits-7", code: "abc234", state: "running", tags: ["base"], config: { lr: 0.1 } } as unknown as Run;

describe("searchRuns", () => {
  it.each([["", true], ["digits base", true], ["lr=0.1", true], ["digits gpt", false], ["/digits-\\d+/", true]])(
    "%j", (text, found) => {
      const search = searchRuns(text);
      expect(search.matches(run)).toBe(found);
      expect(search.error).toBe("");
    });

  it("says what is wrong with a pattern and hides nothing", () => {
    const search = searchRuns("/dig(/");
    expect(search.error).toMatch(/unterminated/i);
    expect(search.matches(run)).toBe(true);
  });
});

describe("compareCells", () => {
  it("orders numbers by size and numbers inside text by size", () => {
    expect([10, 9, 1e-3].sort((a, b) => compareCells(a, b, false))).toEqual([1e-3, 9, 10]);
    expect(["run-10", "run-9"].sort((a, b) => compareCells(a, b, false))).toEqual(["run-9", "run-10"]);
  });

  it("keeps what is absent last, whichever way", () => {
    expect([null, 2, NaN, 1].sort((a, b) => compareCells(a, b, true)).slice(0, 2)).toEqual([2, 1]);
  });
});
