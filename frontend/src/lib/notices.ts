/** Where a notice is looked at in full. */
import type { Notice } from "../api/types";

export function hrefOf({ kind, id, run, experiment }: Pick<Notice, "kind" | "id" | "run" | "experiment">): string {
  if (run) return kind === "proposal" ? `/runs/${run}?tab=decisions&at=${id}` : `/runs/${run}`;
  return experiment === null ? "/" : `/experiments/${experiment}`;
}
