/** Columns of a run table: which there are, what a run says in each, and which to show first. */
import type { Run } from "../api/types";
import { cell } from "./columns";
import { flatten } from "./tree";

/** "name", "state", "step", "created", "duration", "tags", "metric:<key>" or "config:<path>". */
export type ColumnId = string;

export const FIXED: { id: ColumnId; label: string }[] = [
  { id: "state", label: "State" }, { id: "step", label: "Step" }, { id: "created", label: "Created" },
  { id: "duration", label: "Took" }, { id: "tags", label: "Tags" }, { id: "by", label: "By" },
];

const flat = new WeakMap<object, Map<string, unknown>>();

/** A run's settings by dotted path; worked out once for each settings object. */
function settings(run: Run): Map<string, unknown> {
  let map = flat.get(run.config);
  if (!map) flat.set(run.config, (map = new Map(flatten(run.config).map((leaf) => [leaf.path, leaf.value]))));
  return map;
}

export function valueOf(run: Run, id: ColumnId): unknown {
  if (id.startsWith("metric:")) {
    const value = run.summary[id.slice(7)];
    return value === undefined || value === null ? undefined : cell(value);
  }
  if (id.startsWith("config:")) return settings(run).get(id.slice(7));
  switch (id) {
    case "name": return run.name;
    case "state": return run.state;
    case "step": return run.last_step;
    case "created": return run.created_at;
    case "duration": return seconds(run);
    case "tags": return run.tags.join(", ");
    case "by": return run.created_by;
    default: return undefined;
  }
}

const seconds = (run: Run): number | null =>
  run.started_at ? ((run.ended_at ? Date.parse(run.ended_at) : Date.now()) - Date.parse(run.started_at)) / 1000 : null;

export const labelOf = (id: ColumnId): string =>
  id === "name" ? "Run" : (FIXED.find((each) => each.id === id)?.label ?? id.slice(id.indexOf(":") + 1));

export function metricColumns(runs: Run[]): ColumnId[] {
  const keys = new Set<string>();
  for (const run of runs) for (const key of Object.keys(run.summary)) keys.add(key);
  return [...keys].sort().map((key) => `metric:${key}`);
}

/** Settings that differ between runs first: those are what a person compares. */
export function configColumns(runs: Run[]): { id: ColumnId; differs: boolean }[] {
  const seen = new Map<string, Set<string>>();
  for (const run of runs) {
    for (const [path, value] of settings(run)) {
      const values = seen.get(path) ?? new Set();
      if (values.size < 2) values.add(JSON.stringify(value));
      seen.set(path, values);
    }
  }
  return [...seen]
    .map(([path, values]) => ({ id: `config:${path}`, differs: values.size > 1 }))
    .sort((a, b) => Number(b.differs) - Number(a.differs) || a.id.localeCompare(b.id));
}

export function usualColumns(runs: Run[], goal: string): ColumnId[] {
  const metrics = metricColumns(runs);
  const wanted = [goal, "loss", "val/loss", "accuracy"].map((key) => `metric:${key}`).filter((id) => metrics.includes(id));
  const settings = configColumns(runs).filter((each) => each.differs).slice(0, 3).map((each) => each.id);
  return [...new Set(["state", ...wanted.slice(0, 2), "step", ...settings, "created"])];
}

/** Rows in the order a person has before them: what is new stands at the end, until the order may change again. */
export function heldOrder<T extends { code: string }>(rows: T[], held: string[] | null): T[] {
  if (!held) return rows;
  const place = new Map(held.map((code, at) => [code, at]));
  return rows.toSorted((a, b) => (place.get(a.code) ?? Infinity) - (place.get(b.code) ?? Infinity) || 0);
}
