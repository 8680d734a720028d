/** Runs in groups of equal values: the statistics of all that match, and the runs of the groups that are open. */
import * as api from "../api";
import { isAbort, messageOf, type Query } from "../api/client";
import type { RunGroup, RunGroups } from "../api/types";
import { both, groupConditions, readFilter } from "../lib/filters";
import type { ColumnId, RunRow } from "../lib/table";
import { RunRows } from "./runrows.svelte";

export interface GroupQuestion {
  query: Query;
  by: ColumnId[];
  measure: ColumnId[];
  sort: string; // the table's
  columns: string[]; // of the rows in open groups
}

const AGAIN = 5000; // milliseconds

export const keyOf = (group: RunGroup): string => JSON.stringify(group.values);

export class GroupedRuns {
  told = $state.raw<RunGroups | null>(null);
  error = $state("");
  open = $state.raw<ReadonlyMap<string, RunRows>>(new Map());
  private asked: GroupQuestion | null = null;
  private reading: AbortController | null = null;
  private due = 0;

  constructor(private onwhole: (rows: readonly RunRow[]) => void) {}

  async read(asked: GroupQuestion): Promise<void> {
    this.asked = asked;
    this.reading?.abort();
    const reading = (this.reading = new AbortController());
    const measured = asked.sort.replace(/^-/, "");
    const sort = asked.measure.includes(measured) ? asked.sort : "";
    try {
      const told = await api.runGroups({ ...asked.query, by: asked.by, measure: asked.measure, sort }, reading.signal);
      if (this.reading !== reading) return;
      const same = this.told && JSON.stringify(this.told.by) === JSON.stringify(told.by);
      this.told = told;
      this.error = "";
      const keys = new Set(told.groups.map(keyOf));
      const kept = [...this.open].filter(([key]) => same && keys.has(key));
      for (const [key, rows] of this.open) if (!kept.some(([other]) => other === key)) rows.stop();
      this.open = new Map(kept);
      for (const group of told.groups) void this.open.get(keyOf(group))?.read(this.question(group));
    } catch (error) {
      if (!isAbort(error) && this.reading === reading) this.error = messageOf(error);
    }
  }

  /** Read the figures of the groups that are here again before long: they keep their order, and who came waits. */
  soon(): void {
    this.due ||= window.setTimeout(() => {
      this.due = 0;
      void this.again();
    }, AGAIN);
  }

  private async again(): Promise<void> {
    const { asked, told, reading } = this;
    if (!asked || !told || document.hidden) return;
    try {
      const now = await api.runGroups({ ...asked.query, by: asked.by, measure: asked.measure, sort: "" });
      if (this.told !== told || this.reading !== reading) return; // another question came between
      const found = new Map(now.groups.map((group) => [keyOf(group), group]));
      this.told = { ...told, groups: told.groups.map((group) => found.get(keyOf(group)) ?? group) };
    } catch {
      // The next change asks again.
    }
  }

  toggle(group: RunGroup): void {
    const key = keyOf(group);
    const next = new Map(this.open);
    const rows = next.get(key);
    if (rows) {
      rows.stop();
      next.delete(key);
    } else {
      const opened = new RunRows(this.onwhole);
      opened.total = group.count;
      next.set(key, opened);
      void opened.read(this.question(group));
    }
    this.open = next;
  }

  patch(changes: ReadonlyMap<string, Partial<RunRow>>): void {
    for (const rows of this.open.values()) rows.patch(changes);
  }

  find(code: string): RunRow | undefined {
    for (const rows of this.open.values()) {
      const found = rows.find(code);
      if (found) return found;
    }
    return undefined;
  }

  /** Codes of a group's runs, the first so many: for its eye. */
  async codes(group: Pick<RunGroup, "values">, most: number): Promise<string[]> {
    const { query } = this.question(group);
    return (await api.groupPage({ ...query, limit: most, column: ["name"] }, group.values)).results.map((row) => row.code);
  }

  stop(): void {
    window.clearTimeout(this.due);
    this.due = 0;
    this.reading?.abort();
    for (const rows of this.open.values()) rows.stop();
    this.open = new Map();
  }

  private question(group: Pick<RunGroup, "values">): { query: Query; columns: string[] } {
    const asked = this.asked!;
    const filter = readFilter(String(asked.query.filter ?? ""));
    const whole = both(filter, groupConditions(this.told!.by, group.values));
    return { query: { ...asked.query, filter: whole ? JSON.stringify(whole) : null, sort: asked.sort }, columns: asked.columns };
  }
}
