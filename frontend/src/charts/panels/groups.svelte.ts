/** The groups of an experiment's table as the charts draw them: of all their runs, on the charts by themselves or hidden. */
import { isAbort, messageOf } from "../../api/client";
import { Palette } from "../../lib/colours";
import type { RunGroup as Told } from "../../api/types";
import type { RunGroup } from "./context";

const MOST_GROUPS = 12; // as many as there are colours
const MOST_RUNS = 20; // of a group: more would be read for a band that hardly moves; how many there are is said
const MOST_MEMBERS = 500; // whose figures alone are looked at

export type Some = Pick<Told, "values" | "count">;

export interface Table {
  by: readonly string[];
  groups: readonly Some[];
  /** Of those that are drawn, by the JSON of their values. */
  colours: ReadonlyMap<string, string>;
  codes: (group: Some, most: number) => Promise<string[]>;
}

export const groupName = (by: readonly string[], values: readonly unknown[]): string =>
  by.map((column, i) => `${column.replace(/^(config|metric):/, "")}=${values[i] === null ? "–" : String(values[i])}`).join(", ");

/** The groups that are drawn, each with its colour, by the JSON of their values: the `chosen` ones, or the first where none of these is here. */
export function drawnOf(by: readonly string[], groups: readonly Pick<Told, "values">[], chosen: readonly string[] | null, palette: Palette = new Palette()): Map<string, string> {
  const keys = groups.map(({ values }) => JSON.stringify(values));
  const wanted = chosen && (!chosen.length || keys.some((key) => chosen.includes(key))) ? new Set(chosen) : null;
  const some = groups.filter((_, i) => !wanted || wanted.has(keys[i])).slice(0, MOST_GROUPS);
  const colours = palette.of(some.map(({ values }) => groupName(by, values)));
  return new Map(some.map(({ values }) => [JSON.stringify(values), `--series-${colours.get(groupName(by, values))}`]));
}

/** One more, or one less. Where all colours are taken the last one gives way. */
export const toggled = (drawn: readonly string[], key: string): string[] =>
  drawn.includes(key) ? drawn.filter((each) => each !== key) : [...drawn.slice(0, MOST_GROUPS - 1), key];

export class DrawnGroups {
  list = $state.raw<RunGroup[] | null>(null);
  error = $state("");
  private asked = 0;

  /** Null where the table is not grouped. The codes of its runs are asked for; the newest question wins. */
  async take(table: Table | null): Promise<void> {
    const asked = (this.asked += 1);
    if (!table) {
      this.list = null;
      return;
    }
    const { colours } = table;
    const some = table.groups.filter((group) => colours.has(JSON.stringify(group.values)));
    try {
      const codes = await Promise.all(some.map((group) => table.codes(group, MOST_MEMBERS)));
      if (asked !== this.asked) return;
      this.error = "";
      this.list = some.map((group, i) => ({
        name: groupName(table.by, group.values), colour: colours.get(JSON.stringify(group.values))!, sources: codes[i].slice(0, MOST_RUNS).map((code) => `run:${code}`), members: codes[i], runs: group.count,
      }));
    } catch (error) {
      if (asked === this.asked && !isAbort(error)) this.error = messageOf(error);
    }
  }
}
