import { describe, expect, it } from "vitest";
import type { Branch, Checkpoint, Lineage } from "../api/types";
import { grownFrom, lineNamed, treeLines, whyNotResume } from "./lineage";

const branch = (index: number, from_step: number, reason: Branch["reason"] = "rollback"): Branch => ({ index, from_step, reason });
const saved = (id: number, step: number, branch = 0, available = true) => ({ id, step, branch, available, metrics: {}, kept_by: [] }) as unknown as Checkpoint;
const relative = (code: string, generation: number, checkpoint: number | null, parent: string | null = null) => ({ code, name: code, generation, checkpoint, parent, parent_step: 3 }) as Lineage["relatives"][number];
const took = (run: string, source: string, step: number, checkpoint: number) => ({ run, source, step, checkpoint }) as Lineage["adoptions"][number];

function drawn(about: { branches?: Branch[]; checkpoints?: Checkpoint[]; relatives?: Lineage["relatives"]; adoptions?: Lineage["adoptions"]; parent?: string }) {
  const lines = treeLines({
    code: "me", parent: about.parent ?? null, parentStep: 7, step: 99, branches: about.branches ?? [branch(0, 0, "start")], checkpoints: about.checkpoints ?? [],
    lineage: { relatives: about.relatives ?? [], adoptions: about.adoptions ?? [], children_total: 0 },
  });
  expect(new Set(lines.map(({ key }) => key)).size).toBe(lines.length);
  return lines.map((line) => {
    const what = line.kind === "checkpoint" ? line.checkpoint.step : line.kind === "gone" ? line.checkpoints.map(({ step }) => step).join() : line.kind === "branch" ? `${line.branch.index}@${line.from}${line.to ? `<${line.to}` : ""}` : line.kind === "fork" ? line.relative.code : line.kind === "took" ? line.adoption.source : line.kind === "gave" ? line.adoption.run : line.kind === "origin" ? `${line.name} ${line.step} ${line.child}` : "now";
    return `${"  ".repeat(line.lane)}${line.faded ? "~" : ""}${line.kind} ${what}`;
  });
}

it("finds the branch that each began on, over those that were left", () => {
  expect([...grownFrom([branch(0, 0, "start"), branch(1, 50), branch(2, 80), branch(3, 50), branch(4, 20)])]).toEqual([[1, 0], [2, 1], [3, 0], [4, 0]]);
});

describe("the tree", () => {
  it("has checkpoints by step, what was rolled back aside and faded, and where it stands last", () => {
    expect(drawn({ branches: [branch(0, 0, "start"), branch(1, 20)], checkpoints: [saved(4, 30, 1), saved(3, 40), saved(2, 20), saved(1, 0)] })).toEqual(
      ["checkpoint 0", "checkpoint 20", "branch 1@20<40", "  ~checkpoint 40", "checkpoint 30", "tip now"]);
  });
  it("puts a branch of a branch that was left further aside", () => {
    expect(drawn({ branches: [branch(0, 0, "start"), branch(1, 40), branch(2, 20)], checkpoints: [saved(1, 0), saved(2, 20), saved(3, 40), saved(4, 60), saved(5, 50, 1), saved(6, 30, 2)] })).toEqual(
      ["checkpoint 0", "checkpoint 20", "branch 2@20<60", "  ~checkpoint 40", "  ~branch 1@40<60", "    ~checkpoint 60", "  ~checkpoint 50", "checkpoint 30", "tip now"]);
  });
  it("keeps a resumption that left nothing behind on the line", () => {
    expect(drawn({ branches: [branch(0, 0, "start"), branch(1, 20, "resume")], checkpoints: [saved(2, 20), saved(3, 30, 1)] })).toEqual(["checkpoint 20", "branch 1@20", "checkpoint 30", "tip now"]);
  });
  it("gathers what is gone, but for what something grew from", () => {
    expect(drawn({ checkpoints: [saved(1, 0), saved(2, 5, 0, false), saved(3, 10, 0, false), saved(4, 15, 0, false)], relatives: [relative("wide", 1, 4)] })).toEqual(
      ["checkpoint 0", "gone 5,10", "checkpoint 15", "  fork wide", "tip now"]);
  });
  it("hangs forks and given weights on their checkpoint, taken ones on their step, and begins with the parent", () => {
    expect(drawn({ parent: "old", checkpoints: [saved(1, 10), saved(2, 30)], relatives: [relative("older", -2, null, "gone"), relative("old", -1, null, "older"), relative("fork", 1, 1), relative("lost", 1, null), relative("grand", 2, null, "fork"), relative("great", 3, null, "grand")], adoptions: [took("me", "best", 20, 9), took("other", "me", 5, 2)] })).toEqual(
      ["origin gone 3 older", "origin older 3 old", "origin old 7 ", "checkpoint 10", "  fork fork", "    fork grand", "      fork great", "took best", "checkpoint 30", "  gave other", "  fork lost", "tip now"]);
  });
  it("shows checkpoints of a run that told of no branches", () => {
    expect(drawn({ branches: [], checkpoints: [saved(1, 3, 2)] })).toEqual(["checkpoint 3", "tip now"]);
  });
});

it.each([["at-1", "at-1"], ["at-3", "gone-2"], ["at-9", "at-9"], ["", ""]])("the line of the checkpoint %s is %s", (named, key) => {
  const checkpoints = [saved(1, 0), saved(2, 5, 0, false), saved(3, 10, 0, false)];
  expect(lineNamed(treeLines({ code: "me", parent: null, parentStep: null, step: 99, branches: [], checkpoints, lineage: undefined }), named)).toBe(key);
});

it.each([
  [{ state: "running", job: "j", ended_at: null }, "live"],
  [{ state: "failed", job: null, ended_at: "2026" }, "by hand"],
  [{ state: "failed", job: "j", ended_at: "2026" }, ""],
] as const)("says of %o why it cannot go on", (run, why) => expect(whyNotResume(run)).toBe(why));
