/** The same for many runs: asked of the server piece by piece, and in the end a sentence that hides no failure. */
import type { BulkAnswer, BulkRequest } from "../api/types";
import { messageOf } from "../api/client";
import { plural, t } from "./i18n";

export interface Outcome {
  done: number;
  changed: string[];
  refused: number;
  first: { name: string; reason: string } | null;
}

export interface Progress {
  done: number;
  of: number;
}

/** It ended on the way: what was done until then, and what to ask to go on. */
export class Interrupted extends Error {
  constructor(
    readonly outcome: Outcome,
    readonly at: Progress,
    readonly rest: BulkRequest,
    why: unknown,
  ) {
    super(messageOf(why));
  }
}

/** Ask until nothing is left; `before`, to go on where it ended. A failure after the first answer is thrown as Interrupted. */
export async function throughAll(
  request: BulkRequest,
  ask: (request: BulkRequest) => Promise<BulkAnswer>,
  progress: (progress: Progress) => void,
  before?: Interrupted,
): Promise<Outcome> {
  const outcome: Outcome = before?.outcome ?? { done: 0, changed: [], refused: 0, first: null };
  let { done: seen, of } = before?.at ?? { done: 0, of: 0 };
  for (let next: BulkRequest | null = before?.rest ?? request; next; ) {
    const asked: BulkRequest = next;
    const answer: BulkAnswer = await ask(asked).catch((why: unknown) => {
      throw seen ? new Interrupted(outcome, { done: seen, of }, asked, why) : why;
    });
    outcome.done += answer.done;
    outcome.refused += answer.refused;
    outcome.changed.push(...answer.changed);
    outcome.first ??= answer.refusals[0] ?? null;
    seen += answer.done + answer.unchanged + answer.refused;
    of = seen + answer.left;
    progress({ done: seen, of });
    next = answer.next === null ? null : { ...request, after: answer.next, until: answer.until };
  }
  return outcome;
}

/** Seconds that the rest takes at the pace since it stood at `from`; 0 while that is not known. */
export const secondsLeft = ({ done, of }: Progress, seconds: number, from = 0): number => (done > from ? (seconds / (done - from)) * (of - done) : 0);

export type Deed = "tag" | "untag" | "stop" | "requeue" | "delete";

/** "3 runs were stopped. Not “slow”: it is finished. And 2 more." */
export function say({ done, refused, first }: Outcome, deed: Deed): string {
  const whole = {
    tag: plural(done, "{n} run was tagged.", "{n} runs were tagged."),
    untag: plural(done, "{n} run lost the tag.", "{n} runs lost the tag."),
    stop: plural(done, "{n} run was asked to stop.", "{n} runs were asked to stop."),
    requeue: plural(done, "{n} run is queued again.", "{n} runs are queued again."),
    delete: plural(done, "{n} run was deleted.", "{n} runs were deleted."),
  }[deed];
  if (!refused || !first) return whole;
  const not = t("Not “{name}”: {reason}.", { name: first.name, reason: first.reason.replace(/\.$/, "") });
  return [whole, not, refused > 1 ? t("And {n} more.", { n: refused - 1 }) : ""].filter(Boolean).join(" ");
}
