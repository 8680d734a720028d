/** The runs of a page as rows of columns, for panels that draw one mark a run. */
import * as api from "../../api";
import type { Query } from "../../api/client";
import type { Run } from "../../api/types";
import type { RunRow } from "./context";

/** "config:model.depth" of a run as the API gives it: a name with dots of its own comes first. */
export function valueOf(run: Pick<Run, "config" | "summary">, column: string): unknown {
  if (column.startsWith("metric:")) return run.summary?.[column.slice(7)];
  if (!column.startsWith("config:")) return undefined;
  const path = column.slice(7);
  let at: unknown = run.config;
  if (at !== null && typeof at === "object" && Object.hasOwn(at, path)) return (at as Record<string, unknown>)[path];
  for (const name of path.split(".")) at = at !== null && typeof at === "object" && Object.hasOwn(at, name) ? (at as Record<string, unknown>)[name] : undefined;
  return at;
}

export const rowOf = (run: Pick<Run, "code" | "name" | "state" | "config" | "summary">, columns: string[], colour: string): RunRow => ({
  code: run.code, name: run.name, state: run.state, colour, values: Object.fromEntries(columns.map((column) => [column, valueOf(run, column)])),
});

/** Every run of an experiment, or of what its table is narrowed to, with these columns alone. */
export async function rowsOfExperiment(which: Query, columns: string[], colourOf: (code: string) => string, signal: AbortSignal): Promise<RunRow[]> {
  const runs = await api.runRows(which, ["name", "state", ...columns], signal);
  return runs.map((run) => rowOf(run, columns, colourOf(run.code)));
}

/** Every setting and metric of some runs, settings first, each by the alphabet; and the settings that differ. */
export function columnsOf(configs: Iterable<Record<string, unknown>>, keys: readonly string[]): { columns: string[]; differing: string[] } {
  const paths = new Map<string, Set<unknown>>();
  const walk = (value: Record<string, unknown>, prefix: string) => {
    for (const [name, each] of Object.entries(value)) {
      if (each !== null && typeof each === "object" && !Array.isArray(each)) walk(each as Record<string, unknown>, `${prefix}${name}.`);
      else {
        const path = `config:${prefix}${name}`;
        paths.set(path, (paths.get(path) ?? new Set()).add(each));
      }
    }
  };
  for (const config of configs) walk(config ?? {}, "");
  const { compare } = new Intl.Collator("en", { numeric: true });
  const settings = [...paths.keys()].sort(compare);
  return { columns: [...settings, ...keys.map((key) => `metric:${key}`)], differing: settings.filter((path) => paths.get(path)!.size > 1) };
}
