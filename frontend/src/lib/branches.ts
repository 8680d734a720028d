/** Which points a run was made of at a moment: a roll back leaves what came after its step behind. */
import type { Branch } from "../api/types";
import type { Part } from "./columns";

export type { Branch };
export type Pair = [step: number, value: number];

/** The branch that was in force at a moment (milliseconds since the epoch); the newest where times say nothing. */
export function branchAt(branches: readonly Branch[], at: number): number {
  const begun = branches.filter((branch) => (typeof branch.at === "number" ? branch.at * 1000 : Date.parse(branch.at ?? "")) <= at);
  return (begun.at(-1) ?? branches[0])?.index ?? 0;
}

/** The branch that a roll back to `step` began: of those, the first after branch `before`. */
export function branchAfter(branches: readonly Branch[], before: number, step: number): number | null {
  return branches.find((branch) => branch.index > before && branch.from_step === step)?.index ?? null;
}

/** The points of the line that ended in branch `last`, by step: of each branch those up to where the next one left it. */
export function lineOf(parts: readonly Part[], branches: readonly Branch[], last: number, from: number, to: number): Pair[] {
  const chain = branches.filter(({ index }) => index <= last);
  const pairs: Pair[] = [];
  for (const { branch, columns } of parts) {
    if (branch > last) continue;
    const left = Math.min(Infinity, ...chain.filter(({ index }) => index > branch).map(({ from_step }) => from_step));
    for (let i = 0; i < columns.step.length; i++) {
      const step = columns.step[i];
      if (step >= from && step <= to && step <= left && Number.isFinite(columns.mean[i])) pairs.push([step, columns.mean[i]]);
    }
  }
  return pairs.sort((a, b) => a[0] - b[0]);
}
