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
  "state", "last_step", "progress", "created_at", "duration", "tags", "group", "created_by", "started_at", "ended_at", "last_seen_at",
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
    case "progress": return run.progress?.total_steps ? (run.progress.step ?? 0) / run.progress.total_steps : undefined;
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
    case "group": return t("Grid or array");
    case "progress": return t("Progress");
    case "cost": return t("Cost");
    case "device_seconds": return t("Device time");
    case "energy_joules": return t("Energy");
  }
  const key = id.slice(id.indexOf(":") + 1);
  if (id.startsWith("min:")) return t("min {key}", { key });
  if (id.startsWith("max:")) return t("max {key}", { key });
  return key;
}

/** Settings that are equal for all runs, with their value. Of a run that waits none is known yet: it hides nothing. */
export function equalSettings(known: RunColumns | undefined): { path: string; value: string }[] {
  const settings = known?.settings ?? [];
  const having = Math.max(0, ...settings.map((each) => each.runs));
  return settings
    .filter(({ differs, values, runs }) => !differs || (values.length === 1 && runs === having))
    .map(({ path, values }) => ({ path, value: values[0] ?? "" }));
}

/** Such settings add nothing where runs are compared. */
export const differing = (known: RunColumns | undefined, columns: ColumnId[]): ColumnId[] => {
  const same = new Set(equalSettings(known).map((each) => `config:${each.path}`));
  return columns.filter((id) => !same.has(id));
};

const GOING = new Set(["running", "starting", "paused"]);
/** What the server sorts, groups and narrows by; how far a run is, it tells of each alone. */
export const isAskable = (id: ColumnId): boolean => id !== "progress";

const MOST_SETTINGS = 4;
const LONG = 24; // letters of a setting that is a path or a sentence rather than a choice

/** Before anybody chose: the settings that tell the runs apart, then the goal and a loss. */
export function usualColumns(runs: readonly RunRow[], goal: string): ColumnId[] {
  const metrics = new Set(runs.flatMap((run) => Object.keys(run.summary ?? {})));
  const wanted = [goal, "loss", "val/loss", "accuracy"].filter((key) => metrics.has(key)).map((key) => `metric:${key}`);
  const apart = spreadOf(runs).filter((each) => each.differs).sort((a, b) => weightOf(a) - weightOf(b) || (a.path < b.path ? -1 : 1));
  const some = apart.slice(0, MOST_SETTINGS);
  const ids = (first: boolean) => some.filter((each) => !weightOf(each) === first).map((each) => `config:${each.path}`);
  const going = runs.some((run) => GOING.has(run.state)) ? ["progress"] : [];
  return [...new Set(["state", ...ids(true), ...wanted.slice(0, 2), ...going, "last_step", ...ids(false), "created_at"])];
}

interface Spread {
  path: string;
  differs: boolean;
  longest: number; // letters of a value
}

/** How each setting is spread over the runs. A run that waits has no settings yet, and says nothing about them. */
function spreadOf(runs: readonly RunRow[]): Spread[] {
  const seen = new Map<string, { first: string; differs: boolean; runs: number; longest: number }>();
  let having = 0;
  for (const run of runs) {
    const own = settings(run.config);
    if (own.size) having += 1;
    for (const [path, value] of own) {
      const text = JSON.stringify(value) ?? "";
      const found = seen.get(path);
      if (!found) seen.set(path, { first: text, differs: false, runs: 1, longest: text.length });
      else {
        found.differs ||= found.first !== text;
        found.longest = Math.max(found.longest, text.length);
        found.runs += 1;
      }
    }
  }
  return [...seen].map(([path, { differs, runs: told, longest }]) => ({ path, longest, differs: differs || told < having }));
}

/** A seed differs without telling anything, and a path tells it at length: both come last. */
const weightOf = ({ path, longest }: Spread): number => Number(longest > LONG) * 2 + Number(/(^|[._])seed$/.test(path));

/** A head that fits: the last part of a key, which says most, and what it stands under. */
export function headOf(id: ColumnId): { last: string; under: string } {
  const label = labelOf(id);
  if (!id.includes(":")) return { last: label, under: "" };
  const cut = Math.max(label.lastIndexOf("/"), label.lastIndexOf("."));
  const [, end = ""] = /^(min|max):/.exec(id) ?? [];
  if (cut <= 0 || cut === label.length - 1) return { last: label, under: "" };
  const under = id.slice(id.indexOf(":") + 1);
  return { last: `${label.slice(cut + 1)}${end ? ` ${end}` : ""}`, under: under.slice(0, Math.max(under.lastIndexOf("/"), under.lastIndexOf("."))) };
}

/** The most letters that a setting's values take, of these runs. */
export const lettersOf = (runs: readonly RunRow[]): Map<ColumnId, number> => new Map(spreadOf(runs).map(({ path, longest }) => [`config:${path}`, longest]));

/** What the rows of a list have to be asked for, so that these columns can be drawn. */
export const askedFor = (columns: ColumnId[]): string[] => [...new Set(["name", "state", "silent", "created_at", "tags", ...columns])];
