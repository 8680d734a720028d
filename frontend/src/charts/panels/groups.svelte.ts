/** The groups of an experiment's table as the charts draw them: of all their runs, on the charts by themselves or hidden. */
import { isAbort, messageOf } from "../../api/client";
import { assignColours } from "../../lib/colours";
import type { RunGroup as Told } from "../../api/types";
import type { RunGroup } from "./context";

const MOST_GROUPS = 12;
const MOST_RUNS = 20; // of a group: more would be read for a band that hardly moves; how many there are is said
const MOST_MEMBERS = 500; // whose figures alone are looked at

export type Some = Pick<Told, "values" | "count">;

export interface Table {
  by: readonly string[];
  groups: readonly Some[];
  codes: (group: Some, most: number) => Promise<string[]>;
}

export const groupName = (by: readonly string[], values: readonly unknown[]): string =>
  by.map((column, i) => `${column.replace(/^(config|metric):/, "")}=${values[i] === null ? "–" : String(values[i])}`).join(", ");

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
    const some = table.groups.slice(0, MOST_GROUPS);
    const names = some.map((group) => groupName(table.by, group.values));
    const colours = assignColours(names);
    try {
      const codes = await Promise.all(some.map((group) => table.codes(group, MOST_MEMBERS)));
      if (asked !== this.asked) return;
      this.error = "";
      this.list = some.map((group, i) => ({
        name: names[i], colour: `--series-${colours.get(names[i])}`, sources: codes[i].slice(0, MOST_RUNS).map((code) => `run:${code}`), members: codes[i], runs: group.count,
      }));
    } catch (error) {
      if (asked === this.asked && !isAbort(error)) this.error = messageOf(error);
    }
  }
}
