import { describe, expect, it } from "vitest";
import type { Share } from "../api/types";
import { moveBack, moveTo, priorities, startsIn, usedOf } from "./queue";

const codes = ["a", "b", "c"];

describe("a move in the queue", () => {
  it("goes before what it passes upwards, and behind what it passes downwards", () => {
    expect(moveTo(codes, 2, 0)).toEqual({ side: "before", code: "a" });
    expect(moveTo(codes, 0, 1)).toEqual({ side: "behind", code: "b" });
  });
  it("is none where the job is already, or beyond the ends", () => {
    for (const [from, to] of [[1, 1], [0, -1], [2, 3], [9, 0]] as const) expect(moveTo(codes, from, to)).toBeNull();
  });
  it("is taken back next to who stood there", () => {
    expect(moveBack(codes, 0)).toEqual({ side: "before", code: "b" });
    expect(moveBack(codes, 2)).toEqual({ side: "behind", code: "b" });
    expect(moveBack(["a"], 0)).toBeNull();
  });
});

it("offers the classes, and a number that is none of them, the highest first", () => {
  expect(priorities(0).map((each) => each.label)).toEqual(["urgent", "high", "normal", "low"]);
  expect(priorities(7).map((each) => each.label)).toEqual(["urgent", "high", "7", "normal", "low"]);
});

it("says when a job starts only where it was foretold", () => {
  const at = (minutes: number) => ({ starts_at: new Date(minutes * 60_000).toISOString(), by: "pace", words: "when" });
  expect(startsIn({ starts_at: null, by: "", words: "" }, 0)).toBe("");
  expect(startsIn({ starts_at: null, by: "", words: "when" }, 0)).toBe("Nobody knows when");
  expect([0, 20, 180].map((minutes) => startsIn(at(minutes), 0))).toEqual(["Starts soon", "Starts in about 20 min", "Starts in about 3 h"]);
});

it("tells what is borrowed from what is a project's own", () => {
  const share = (used: number, quota: number) => usedOf({ used, quota } as Share);
  expect([share(3, 4), share(6, 4), share(2, 0)]).toEqual(["3 of 4", "6, 2 of them borrowed", "2"]);
});
