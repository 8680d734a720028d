/** Columns of a run table: which there are, what a run says in each, and which to show first. Their names are the API's. */
import type { Run, RunColumns } from "../api/types";
import { cell } from "./columns";
import { t } from "./i18n";
import { flatten } from "./tree";
import { unitOf, type Unit } from "./units";

/** "name", "state", "last_step"…, "metric:<key>", "min:<key>", "max:<key>" or "config:<path>". */
export type ColumnId = string;

/** A row of a list: what it was asked for, and no more. */
export type RunRow = Pick<Run, "code" | "name" | "state"> & Partial<Omit<Run, "lows" | "highs">> & { lows?: Figures; highs?: Figures };
type Figures = Run["summary"];
/** A row with all its figures and settings. */
export type WholeRow = RunRow & Pick<Run, "summary" | "config">;

export const FIELDS: readonly ColumnId[] = [
  "state", "last_step", "created_at", "duration", "tags", "created_by", "started_at", "ended_at", "last_seen_at",
  "cost", "device_seconds", "energy_joules",
];

const flat = new WeakMap<object, Map<string, unknown>>();

/** A run's settings by dotted path; worked out once for each settings object. */
function settings(config: Run["config"] | undefined): Map<string, unknown> {
  if (!config) return new Map();
  let map = flat.get(config);
  if (!map) flat.set(config, (map = new Map(flatten(config).map((leaf) => [leaf.path, leaf.value]))));
  return map;
}

const figure = (figures: Figures | undefined, key: string): unknown => {
  const value = figures?.[key];
  return value === undefined || value === null ? undefined : cell(value);
};

export function valueOf(run: RunRow, id: ColumnId): unknown {
  const colon = id.indexOf(":");
  const key = id.slice(colon + 1);
  switch (colon < 0 ? id : id.slice(0, colon)) {
    case "metric": return figure(run.summary, key);
    case "min": return figure(run.lows, key);
    case "max": return figure(run.highs, key);
    case "config": return settings(run.config).get(key);
    case "duration": return seconds(run);
    case "tags": return run.tags?.join(", ");
    case "cost": return run.usage?.cost;
    case "device_seconds": return run.usage?.device_seconds;
    case "energy_joules": return run.usage?.energy_joules;
    default: return run[id as keyof RunRow];
  }
}

const seconds = (run: RunRow): number | null =>
  run.started_at ? ((run.ended_at ? Date.parse(run.ended_at) : Date.now()) - Date.parse(run.started_at)) / 1000 : null;

const TIMES = new Set(["created_at", "started_at", "ended_at", "last_seen_at"]);
const NUMBERS = new Set(["last_step", "duration", "cost", "device_seconds", "energy_joules"]);
export const isTime = (id: ColumnId): boolean => TIMES.has(id);
export const isFigure = (id: ColumnId): boolean => NUMBERS.has(id) || /^(metric|min|max):/.test(id);
/** What a column can be worked out over, in groups and differences. */
export const isMeasured = (id: ColumnId): boolean => isFigure(id) && id !== "last_step";
export const unitOfColumn = (id: ColumnId): Unit =>
  id === "duration" || id === "device_seconds" ? "seconds" : /^(metric|min|max):/.test(id) ? unitOf(id.slice(id.indexOf(":") + 1)) : "";

export function labelOf(id: ColumnId): string {
  switch (id) {
    case "name": return t("Run");
    case "state": return t("State");
    case "last_step": return t("Step");
    case "created_at": return t("Created");
    case "started_at": return t("Started");
    case "ended_at": return t("Ended");
    case "last_seen_at": return t("Last heard");
    case "duration": return t("Took");
    case "tags": return t("Tags");
    case "created_by": return t("By");
    case "cost": return t("Cost");
    case "device_seconds": return t("Device time");
    case "energy_joules": return t("Energy");
  }
  const key = id.slice(id.indexOf(":") + 1);
  if (id.startsWith("min:")) return t("min {key}", { key });
  if (id.startsWith("max:")) return t("max {key}", { key });
  return key;
}

/** Settings that are the same for all of the runs add nothing where they are compared. */
export const differing = (known: RunColumns | undefined, columns: ColumnId[]): ColumnId[] => {
  const same = new Set(known?.settings.filter((each) => !each.differs).map((each) => `config:${each.path}`));
  return columns.filter((id) => !same.has(id));
};

/** Before anybody chose: the goal, a loss, and the settings that differ. */
export function usualColumns(runs: readonly RunRow[], goal: string): ColumnId[] {
  const metrics = new Set(runs.flatMap((run) => Object.keys(run.summary ?? {})));
  const wanted = [goal, "loss", "val/loss", "accuracy"].filter((key) => metrics.has(key)).map((key) => `metric:${key}`);
  return [...new Set(["state", ...wanted.slice(0, 2), "last_step", ...varied(runs).slice(0, 3), "created_at"])];
}

function varied(runs: readonly RunRow[]): ColumnId[] {
  const seen = new Map<string, { values: Set<string>; runs: number }>();
  for (const run of runs) {
    for (const [path, value] of settings(run.config)) {
      const found = seen.get(path) ?? { values: new Set(), runs: 0 };
      if (found.values.size < 2) found.values.add(JSON.stringify(value));
      found.runs += 1;
      seen.set(path, found);
    }
  }
  return [...seen].filter(([, { values, runs: having }]) => values.size > 1 || having < runs.length).map(([path]) => `config:${path}`).sort();
}

/** What the rows of a list have to be asked for, so that these columns can be drawn. */
export const askedFor = (columns: ColumnId[]): string[] => [...new Set(["name", "state", "silent", "created_at", "tags", ...columns])];
