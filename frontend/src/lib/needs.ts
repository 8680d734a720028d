/** What needs a person, each thing once: what waits for an answer, and runs that no notice tells of. */
import type { Notice, Overview } from "../api/types";

export type RunInNeed = Overview["needs_attention"][number];

/** `notices`: null where they cannot be read. They are the newer of the two: a run whose last proposal was answered waits no more. */
export function runsUntold(runs: readonly RunInNeed[], notices: readonly Pick<Notice, "run">[] | null): RunInNeed[] {
  if (!notices) return [...runs];
  const told = new Set(notices.map((each) => each.run).filter(Boolean));
  // That a run diverged, and since when, is more than an alert or a proposal says of it.
  return runs.filter((run) => isDiverged(run) || !(told.has(run.code) || run.attention?.startsWith("waits for your answer")));
}

/** Whose training broke while its process goes on. */
export const isDiverged = ({ attention }: Pick<RunInNeed, "attention">): boolean => attention?.startsWith("diverged") ?? false;

export const isBroken = ({ state, attention }: Pick<RunInNeed, "state" | "attention">): boolean =>
  state === "failed" || state === "lost" || isDiverged({ attention });

/** What a notice says of its subject, without saying the subject again. */
export function wordsAbout(text: string, subject: string): string {
  return subject && text.startsWith(`${subject}: `) ? text.slice(subject.length + 2) : text;
}
