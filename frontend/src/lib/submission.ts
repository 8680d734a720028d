import type { JobRequest } from "../api/types";
import { t } from "./i18n";
import { momentOf } from "./localtime";
import { joinWords } from "./words";

const GIB = 2 ** 30;

/** A job as it is typed. */
export interface Form {
  line: string;
  name: string;
  kind: "cpu" | "gpu";
  least: number;
  most: number;
  priority: number;
  retries: number;
  folder: string;
  environment: string;
}
export const newForm = (): Form => ({
  line: "", name: "", kind: "cpu", least: 1, most: 1, priority: 0, retries: 1, folder: "", environment: "",
});

const lines = (map: Record<string, string>): string => Object.entries(map).map(([name, value]) => `${name}=${value}`).join("\n");

/** The form that asks for an old job again. */
export const formOf = (job: JobRequest): Form => ({
  line: joinWords(job.argv), name: job.name, kind: job.device_kind === "gpu" ? "gpu" : "cpu", least: job.min_devices, most: job.max_devices,
  priority: job.priority, retries: job.max_retries, folder: job.cwd, environment: lines(job.env),
});

export function wishesOf(job: JobRequest): Wishes {
  const gib = (bytes: number | null) => (bytes === null ? null : bytes / GIB);
  return { ...noWishes(), deviceName: job.device_name, deviceMemory: gib(job.device_memory_bytes), memory: gib(job.memory_bytes), labels: lines(job.node_labels) };
}

/** Of an old job what the form does not show: it stays as it was. */
export function keptOf(old: JobRequest | null, most: number) {
  if (!old) return {};
  const { commit, ...git } = old.git as Record<string, string>;
  return {
    config: old.config, tags: old.tags, launcher: old.launcher, max_nodes: Math.min(old.max_nodes, most), keep: old.keep,
    ...(old.working_copy && { working_copy: old.working_copy }), ...(git.revision && { git: { ...git, revision: commit ?? git.revision } }),
  };
}

export const formFields = (form: Form, argv: string[], env: Record<string, string>) => ({
  argv, name: form.name.trim(), env, cwd: form.folder.trim(), device_kind: form.kind, min_devices: form.least, max_devices: Math.max(form.least, form.most),
  priority: form.priority, max_retries: form.retries,
});

/** What makes many jobs of one. */
export const manyFields = (many: Many, axes: Record<string, string[]>) =>
  many.kind === "one" ? {} : { ...(many.kind === "grid" ? { grid: axes } : { array: many.array.trim() }), ...(many.atOnce && { at_once: many.atOnce }) };

/** What a job asks of its nodes and when it runs, as it is typed. */
export interface Wishes {
  deviceName: string;
  deviceMemory: number | null;
  memory: number | null;
  labels: string;
  deadline: string;
  after: string;
}
export const noWishes = (): Wishes => ({ deviceName: "", deviceMemory: null, memory: null, labels: "", deadline: "", after: "" });

/** What varies over many jobs, as it is typed: lines of NAME=V1,V2, or an array such as 0-99%8. */
export interface Many {
  kind: "one" | "grid" | "array";
  grid: string;
  array: string;
  atOnce: number | null;
}
export const justOne = (): Many => ({ kind: "one", grid: "", array: "", atOnce: null });

export function wishFields(wishes: Wishes, labels: Record<string, string>): Record<string, unknown> {
  const after = wishes.after.split(/[\s,]+/).filter(Boolean);
  return {
    ...(wishes.deviceName.trim() && { device_name: wishes.deviceName.trim() }),
    ...(wishes.deviceMemory && { device_memory_bytes: Math.round(wishes.deviceMemory * GIB) }),
    ...(wishes.memory && { memory_bytes: Math.round(wishes.memory * GIB) }),
    ...(Object.keys(labels).length && { node_labels: labels }),
    ...(wishes.deadline && { deadline: new Date(momentOf(wishes.deadline)).toISOString() }),
    ...(after.length && { after }),
  };
}

/** The axes of a grid, how many jobs it makes, and what is wrong with it. */
export function parseGrid(text: string): { axes: Record<string, string[]>; count: number; error: string } {
  const axes: Record<string, string[]> = {};
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (!line) continue;
    const match = /^([A-Za-z_][\w.-]*)=(.+)$/.exec(line);
    if (!match) return { axes, count: 0, error: t("line {n} is not NAME=V1,V2", { n: index + 1 }) };
    axes[match[1]] = match[2].split(",").map((value) => value.trim());
  }
  const counts = Object.values(axes).map((values) => values.length);
  return { axes, count: counts.length ? counts.reduce((product, each) => product * each, 1) : 0, error: "" };
}

export function countArray(text: string): { count: number; error: string } {
  const match = /^(\d{1,9})-(\d{1,9})(?::(\d{1,9}))?(?:%(\d{1,9}))?$/.exec(text.trim());
  const [first, last, step] = match ? [Number(match[1]), Number(match[2]), Number(match[3] ?? 1)] : [1, 0, 0];
  if (last < first || step < 1) return { count: 0, error: t("expected 0-99, 0-99:10 or 0-99%8") };
  return { count: Math.floor((last - first) / step) + 1, error: "" };
}

export interface Difference {
  name: string;
  was: string;
  is: string;
}

const shown = (value: unknown): string =>
  value === null || value === undefined ? "" : Array.isArray(value) ? joinWords(value.map(String)) : typeof value === "object"
    ? Object.entries(value).map(([name, one]) => `${name}=${String(one)}`).sort().join(" ") : String(value as string | number | boolean);

/** In which fields a job that is about to be submitted differs from an old one. */
export function differences(old: Record<string, unknown>, now: Record<string, unknown>): Difference[] {
  return Object.keys(now)
    .filter((name) => !["experiment", "experiment_name", "project", "config", "working_copy", "git", "tags"].includes(name))
    .map((name) => ({ name, was: shown(old[name]), is: shown(now[name]) }))
    .filter((each) => each.was !== each.is);
}
