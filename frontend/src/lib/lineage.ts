/** A run's checkpoints, branches, forks and adopted weights as the lines of one tree, oldest on top. */
import type { Branch, Checkpoint, Lineage } from "../api/types";

export type Relative = Lineage["relatives"][number];
export type Adoption = Lineage["adoptions"][number];

interface Placed {
  lane: number; // how far aside: 0 is the line that the run stands on
  faded: boolean; // left behind by a roll back or a resumption
  key: string;
}
export type TreeLine = Placed &
  (
    | { kind: "origin"; run: string; name: string; step: number | null; relative: Relative | null; child: string } // child: the name of who went on from it, "" for this run
    | { kind: "checkpoint"; checkpoint: Checkpoint }
    | { kind: "gone"; checkpoints: Checkpoint[] }
    | { kind: "branch"; branch: Branch; from: number; to: number | null; side: boolean }
    | { kind: "fork"; relative: Relative }
    | { kind: "gave" | "took"; adoption: Adoption }
    | { kind: "tip"; step: number | null }
  );

interface Known {
  code: string;
  parent: string | null;
  parentStep: number | null;
  step: number | null;
  branches: readonly Branch[];
  checkpoints: readonly Checkpoint[];
  lineage: Lineage | undefined;
}

/** The branch that each one began on: the newest before it that reaches back to where it began. */
export function grownFrom(branches: readonly Branch[]): Map<number, number> {
  const parents = new Map<number, number>();
  const begins = new Map(branches.map(({ index, from_step }) => [index, from_step]));
  let tip: number | null = null;
  for (const { index, from_step } of [...branches].sort((a, b) => a.index - b.index)) {
    let on = tip;
    // One that began at the same step or later was left as well.
    while (on !== null && parents.has(on) && begins.get(on)! >= from_step) on = parents.get(on)!;
    if (on !== null) parents.set(index, on);
    tip = index;
  }
  return parents;
}

export function treeLines(known: Known): TreeLine[] {
  const { lineage } = known;
  const branches = known.branches.length ? known.branches : [{ index: 0, from_step: 0, reason: "start" as const }];
  const indices = new Set(branches.map(({ index }) => index));
  const root = Math.min(...indices);
  const parents = grownFrom(branches);
  const kids = new Map<number, Branch[]>();
  for (const branch of branches) {
    const on = parents.get(branch.index);
    if (on !== undefined) kids.set(on, [...(kids.get(on) ?? []), branch]);
  }
  const lines: TreeLine[] = [];
  const children = (lineage?.relatives ?? []).filter(({ generation }) => generation === 1);
  const gave = (lineage?.adoptions ?? []).filter(({ source, run }) => source === known.code && run !== known.code);
  const took = (lineage?.adoptions ?? []).filter(({ run }) => run === known.code);
  const told = new Set<string>(); // children that hang on a checkpoint

  /** A run that goes on from another one, and what goes on from that. */
  function forkLines(relative: Relative, lane: number, faded: boolean): TreeLine[] {
    const kids = (lineage?.relatives ?? []).filter(({ generation, parent }) => generation > relative.generation && parent === relative.code);
    return [{ kind: "fork", relative, lane, faded, key: `fork-${relative.code}` }, ...kids.flatMap((each) => forkLines(each, lane + 1, faded))];
  }

  function forksOf(checkpoint: Checkpoint, lane: number, faded: boolean): TreeLine[] {
    const own = children.filter((each) => each.checkpoint === checkpoint.id);
    for (const each of own) told.add(each.code);
    return [
      ...own.flatMap((relative) => forkLines(relative, lane + 1, faded)),
      ...gave.filter((each) => each.checkpoint === checkpoint.id).map((adoption): TreeLine => ({ kind: "gave", adoption, lane: lane + 1, faded, key: `gave-${adoption.run}-${adoption.step}` })),
    ];
  }

  /** What a branch saved after one step and up to another, with what hangs on it. */
  function stretch(index: number, after: number, upTo: number, lane: number, faded: boolean): TreeLine[] {
    const own = known.checkpoints
      .filter(({ branch, step }) => (indices.has(branch) ? branch : root) === index && step > after && step <= upTo)
      .sort((a, b) => a.step - b.step || a.id - b.id);
    const entries: { step: number; lines: TreeLine[]; gone?: Checkpoint }[] = own.map((checkpoint) => {
      const hanging = forksOf(checkpoint, lane, faded);
      if (!checkpoint.available && !hanging.length) return { step: checkpoint.step, lines: [], gone: checkpoint };
      return { step: checkpoint.step, lines: [{ kind: "checkpoint", checkpoint, lane, faded, key: `at-${checkpoint.id}` }, ...hanging] };
    });
    if (!faded) for (const adoption of took) if ((adoption.step ?? 0) > after && (adoption.step ?? 0) <= upTo) entries.push({ step: adoption.step ?? 0, lines: [{ kind: "took", adoption, lane, faded, key: `took-${adoption.step}-${adoption.source}` }] });
    entries.sort((a, b) => a.step - b.step);
    const out: TreeLine[] = [];
    let gone: Checkpoint[] = [];
    const close = () => {
      if (gone.length) out.push({ kind: "gone", checkpoints: gone, lane, faded, key: `gone-${gone[0].id}` });
      gone = [];
    };
    for (const entry of entries) {
      if (entry.gone) gone.push(entry.gone);
      else {
        close();
        out.push(...entry.lines);
      }
    }
    close();
    return out;
  }

  function walk(index: number, after: number, lane: number, faded: boolean, without: ReadonlySet<number>): TreeLine[] {
    // The earliest that it was gone back to, and of those the newest: there the line goes on, and the rest is left aside.
    const next = (kids.get(index) ?? []).filter((each) => !without.has(each.index)).sort((a, b) => a.from_step - b.from_step || b.index - a.index)[0];
    if (!next) return stretch(index, after, Infinity, lane, faded);
    const left = walk(index, next.from_step, lane + 1, true, new Set([...without, next.index]));
    const furthest = left.reduce((most, line) => Math.max(most, line.kind === "checkpoint" ? line.checkpoint.step : line.kind === "gone" ? line.checkpoints.at(-1)!.step : line.kind === "branch" ? (line.to ?? line.from) : -1), -1);
    return [
      ...stretch(index, after, next.from_step, lane, faded),
      { kind: "branch", branch: next, from: next.from_step, to: furthest > next.from_step ? furthest : null, side: left.length > 0, lane, faded, key: `branch-${next.index}` },
      ...left,
      ...walk(next.index, next.from_step, lane, faded, new Set()),
    ];
  }

  // From its parent up; the oldest stands on top.
  let [code, step, child] = [known.parent, known.parentStep, ""];
  while (code && !lines.some((line) => line.key === `origin-${code}`)) {
    const relative = lineage?.relatives.find((each) => each.code === code) ?? null;
    lines.unshift({ kind: "origin", run: code, name: relative?.name ?? code, step, relative, child, lane: 0, faded: false, key: `origin-${code}` });
    [code, step, child] = [relative?.parent ?? null, relative?.parent_step ?? null, relative?.name ?? ""];
  }
  lines.push(...walk(root, -1, 0, false, new Set()));
  // Begun from a checkpoint that is not known any more, or by hand.
  for (const relative of children) if (!told.has(relative.code)) lines.push(...forkLines(relative, 1, false));
  lines.push({ kind: "tip", step: known.step, lane: 0, faded: false, key: "tip" });
  return lines;
}

/** The line that tells of a checkpoint by its key `at-ID`: one that is gone is told of with its like, in a line that unfolds. */
export const lineNamed = (lines: readonly TreeLine[], named: string): string =>
  lines.find((line) => line.kind === "gone" && line.checkpoints.some(({ id }) => `at-${id}` === named))?.key ?? named;

/** Whether a run that is over can go on; "" where it can, else why not. */
export function whyNotResume(run: { state: string; job: string | null; ended_at: string | null }): "" | "live" | "by hand" {
  if (run.ended_at === null) return "live";
  return run.job ? "" : "by hand";
}
