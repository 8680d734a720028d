import { describe, expect, it } from "vitest";
import type { Job, JobGroup, Share } from "../api/types";
import { groupAddress, isGroup, linesOf, moveBack, moveTo, priorities, startsIn, usedOf, type Line } from "./queue";

const job = (code: string, group: string | null = null) => ({ code, group }) as Job;
const sweep = { code: "g", label: "sweep · g", experiment: 3 } as JobGroup;
const alone = ["a", "b", "c"].map((code) => job(code));
const mixed = [job("a"), job("g1", "g"), job("b"), job("g2", "g"), job("c", "other")];
const shown = (open: string[], jobs = mixed) => linesOf(jobs, [sweep], new Set(open));
const words = (lines: Line[]) => lines.map((line) => (isGroup(line) ? `[${line.jobs.length}]` : (line.inner ? " " : "") + line.job.code));

describe("a queue with groups", () => {
  it("tells jobs of one group as one line, at the place of the first, and unfolds them below it", () => {
    expect(words(shown([]))).toEqual(["a", "[2]", "b", "c"]);
    expect(words(shown(["g"]))).toEqual(["a", "[2]", " g1", " g2", "b", "c"]);
  });
  it("leaves one job of a group by itself", () => {
    expect(words(shown([], [job("a"), job("g1", "g")]))).toEqual(["a", "g1"]);
  });
  it("leads to the runs of a group by the value of their column", () => {
    const address = new URL(groupAddress(sweep), "http://site");
    expect([address.pathname, address.searchParams.get("filter")]).toEqual(["/experiments/3", '{"column":"group","operator":"=","value":"sweep · g"}']);
  });
});

describe("a move in the queue", () => {
  const lines = shown([], alone);
  it("goes before what it passes upwards, and behind what it passes downwards", () => {
    expect(moveTo(lines, 2, 0)).toEqual({ side: "before", code: "a" });
    expect(moveTo(lines, 0, 1)).toEqual({ side: "behind", code: "b" });
  });
  it("is none where the job is already, or beyond the ends", () => {
    for (const [from, to] of [[1, 1], [0, -1], [2, 3], [9, 0]] as const) expect(moveTo(lines, from, to)).toBeNull();
  });
  it("passes a folded group as a whole, and an unfolded one job by job", () => {
    expect(moveTo(shown([]), 0, 1)).toEqual({ side: "behind", code: "g2" });
    expect(moveTo(shown([]), 2, 1)).toEqual({ side: "before", code: "g1" });
    expect(moveTo(shown(["g"]), 0, 1)).toEqual({ side: "behind", code: "g1" });
    expect(moveTo(shown(["g"]), 4, 3)).toEqual({ side: "before", code: "g2" });
    expect(moveTo(shown(["g"]), 2, 1)).toBeNull();
    expect(moveTo(shown(["g"]), 2, 0)).toEqual({ side: "before", code: "a" });
    expect(moveTo(shown([]), 1, 0)).toBeNull(); // a group has no place of its own
  });
  it("is taken back next to who stood there", () => {
    expect(moveBack(["a", "b", "c"], 0)).toEqual({ side: "before", code: "b" });
    expect(moveBack(["a", "b", "c"], 2)).toEqual({ side: "behind", code: "b" });
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
