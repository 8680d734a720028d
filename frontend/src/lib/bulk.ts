/** The same for many runs: asked of the server piece by piece, and in the end a sentence that hides no failure. */
import type { BulkAnswer, BulkRequest } from "../api/types";
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

/** Ask until nothing is left. A failure on the way is thrown with what was done until then on `outcome`. */
export async function throughAll(
  request: BulkRequest,
  ask: (request: BulkRequest) => Promise<BulkAnswer>,
  progress: (progress: Progress) => void,
): Promise<Outcome> {
  const outcome: Outcome = { done: 0, changed: [], refused: 0, first: null };
  let seen = 0;
  for (let next: BulkRequest | null = request; next; ) {
    const answer: BulkAnswer = await ask(next);
    outcome.done += answer.done;
    outcome.refused += answer.refused;
    outcome.changed.push(...answer.changed);
    outcome.first ??= answer.refusals[0] ?? null;
    seen += answer.done + answer.unchanged + answer.refused;
    progress({ done: seen, of: seen + answer.left });
    next = answer.next === null ? null : { ...request, after: answer.next, until: answer.until };
  }
  return outcome;
}

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
