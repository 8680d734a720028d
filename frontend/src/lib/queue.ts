/** The queue by hand: which neighbour a moved job is put next to, what a priority is called, what a share reads as. */
import type { Job, JobGroup, Share } from "../api/types";
import { t } from "./i18n";

export type Side = "before" | "behind";
export interface Move { side: Side; code: string }

export const CLASSES: [number, string][] = [[-100, "low"], [0, "normal"], [100, "high"], [200, "urgent"]];

/** A line of the queue's table: a job by itself, a group that stands for those of its jobs, or one of an unfolded group. */
export type Line = { group: JobGroup; jobs: Job[]; open: boolean } | { job: Job; inner: boolean };
export const isGroup = (line: Line): line is Extract<Line, { group: JobGroup }> => "group" in line;
export const keyOf = (line: Line): string => (isGroup(line) ? `group ${line.group.code}` : line.job.code);

/** Jobs as lines: where two or more are of one group, it stands at the place of the first of them. */
export function linesOf(jobs: readonly Job[], groups: readonly JobGroup[], open: ReadonlySet<string>): Line[] {
  const known = new Map(groups.map((group) => [group.code, group]));
  const of = new Map<string, Job[]>();
  for (const job of jobs) {
    if (!job.group) continue;
    const mates = of.get(job.group);
    if (mates) mates.push(job);
    else of.set(job.group, [job]);
  }
  const told = new Set<string>();
  return jobs.flatMap((job): Line[] => {
    const group = known.get(job.group ?? "");
    const mates = (group && of.get(group.code)) ?? [];
    if (!group || mates.length < 2) return [{ job, inner: false }];
    if (told.has(group.code)) return [];
    told.add(group.code);
    const unfolded = open.has(group.code);
    return [{ group, jobs: mates, open: unfolded }, ...(unfolded ? mates.map((mate) => ({ job: mate, inner: true })) : [])];
  });
}

/** What became of a group, in the order of a life. */
export const STANDINGS = ["queued", "active", "done", "failed", "stopped"] as const;

/** Where the runs of a group are: its experiment's table, narrowed to them. */
export const groupAddress = ({ experiment, label }: Pick<JobGroup, "experiment" | "label">): string =>
  `/experiments/${experiment}?filter=${encodeURIComponent(JSON.stringify({ column: "group", operator: "=", value: label }))}`;

/** Where the job of line `from` is put so that it ends up at line `to`; null where that is its own place, or outside. */
export function moveTo(lines: readonly Line[], from: number, to: number): Move | null {
  const [moving, there] = [lines[from], lines[to]];
  if (!moving || !there || from === to || isGroup(moving)) return null;
  const side = to < from ? "before" : "behind";
  // A folded group is passed as a whole; the head of an unfolded one is passed with its first job.
  const passed = isGroup(there) ? (side === "before" || there.open ? there.jobs[0]! : there.jobs.at(-1)!) : there.job;
  // Upwards out of an unfolded group: its head stands right before its first job, which is oneself.
  return passed.code === moving.job.code ? null : { side, code: passed.code };
}

/** The move that takes a job back to where it was before another was made. */
export function moveBack(codes: string[], from: number): Move | null {
  if (codes[from + 1]) return { side: "before", code: codes[from + 1]! };
  return codes[from - 1] ? { side: "behind", code: codes[from - 1]! } : null;
}

/** What one can choose for a job: the classes, and its own number where that is none of them. */
export function priorities(now: number): { value: number; label: string }[] {
  const words: Record<string, string> = { low: t("low"), normal: t("normal"), high: t("high"), urgent: t("urgent") };
  const found = CLASSES.map(([value, name]) => ({ value, label: words[name]! }));
  if (!found.some((each) => each.value === now)) found.push({ value: now, label: String(now) });
  return found.sort((a, b) => b.value - a.value);
}

/** When a waiting job starts: "in about 20 min", that nobody knows, or "" for one of which nothing was foretold. */
export function startsIn(outlook: Job["outlook"], now: number): string {
  if (!outlook.words) return "";
  if (!outlook.starts_at) return t("Nobody knows when");
  const minutes = Math.round((Date.parse(outlook.starts_at) - now) / 60_000);
  if (minutes < 1) return t("Starts soon");
  if (minutes < 90) return t("Starts in about {n} min", { n: minutes });
  return t("Starts in about {n} h", { n: Math.round(minutes / 60) });
}

/** "3 of 4", "6, 2 of them borrowed", "3, none its own". */
export function usedOf(share: Share): string {
  if (!share.quota) return String(share.used);
  if (share.used > share.quota) return t("{n}, {m} of them borrowed", { n: share.used, m: share.used - share.quota });
  return t("{n} of {all}", { n: share.used, all: share.quota });
}

/** Where a job runs: its node and devices. */
export function placeWords(job: Job): string {
  const last = job.attempts.at(-1);
  return last ? `${last.node} · ${last.devices.join(", ")}` : "–";
}

export const askedWords = (job: Job): string =>
  `${job.min_devices === job.max_devices ? job.min_devices : `${job.min_devices}–${job.max_devices}`} ${job.device_kind}`;

/** What all of them are; undefined where they are not one. */
export const oneOf = <T>(all: readonly T[]): T | undefined => (new Set(all).size === 1 ? all[0] : undefined);
