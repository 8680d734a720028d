/**
 * The rows of a list of runs in the server's order, read page by page as they come into view.
 *
 * A row that is here changes in place and never its place: the order is that of when the list was read.
 */
import * as api from "../api";
import { ApiError, isAbort, messageOf, type Query } from "../api/client";
import type { RunRow } from "../lib/table";

const FIRST = 100; // rows of the first page, which come with all their figures: the usual columns are read off them
const MORE = 500;

export interface Asked {
  query: Query; // what narrows the list, and its order
  columns: string[]; // what a row has to hold
}

export class RunRows {
  list = $state.raw<readonly RunRow[]>([]);
  /** How many match; before that is known, how many are here. */
  total = $state(0);
  /** When the newest of those that match was made. */
  newest = $state<string | null>(null);
  /** Whether an answer has been here at all. */
  ready = $state(false);
  loading = $state(false);
  error = $state("");
  fields = $state.raw<Record<string, string[]>>({});
  private places = new Map<string, number>();
  private next: string | null = null;
  private wanted = 0;
  private reading: AbortController | null = null;
  private asked: Asked = { query: {}, columns: [] };

  /** onwhole: is given the rows of the first page, which have all their figures and settings. */
  constructor(private onwhole: (rows: readonly RunRow[]) => void = () => undefined) {}

  /** Read the list anew; what is on screen stays until as many rows are there again. */
  async read(asked: Asked): Promise<void> {
    this.asked = asked;
    this.reading?.abort();
    const reading = (this.reading = new AbortController());
    this.loading = true;
    try {
      const [page, told] = await Promise.all([
        api.runPage(firstPage(asked), reading.signal), api.runCount(narrowing(asked.query), reading.signal),
      ]);
      if (this.reading !== reading) return;
      this.onwhole(page.results);
      const rows = [...page.results];
      let next = page.next;
      const before = Math.min(this.wanted, told.count);
      while (next && rows.length < before) {
        const more: Awaited<ReturnType<typeof api.runsAfter>> = await api.runsAfter(next, MORE, asked.columns, reading.signal);
        rows.push(...more.results);
        next = more.next;
      }
      if (this.reading !== reading) return;
      this.places = new Map();
      this.list = [];
      this.take(rows, next);
      this.total = next ? Math.max(told.count, this.list.length) : this.list.length;
      this.newest = told.newest;
      this.error = "";
      this.fields = {};
      this.ready = true;
    } catch (error) {
      this.fail(error, reading);
    } finally {
      this.finish(reading);
    }
  }

  /** See to it that the first `count` rows are here, page after page: the list has no other way into its middle. */
  async reach(count: number): Promise<void> {
    this.wanted = Math.max(FIRST, count);
    if (this.reading || !this.next) return;
    const reading = (this.reading = new AbortController());
    this.loading = true;
    try {
      while (this.next && this.list.length < this.wanted) {
        const page = await api.runsAfter(this.next, MORE, this.asked.columns, reading.signal);
        if (this.reading !== reading) return;
        this.take(page.results, page.next);
      }
      if (!this.next) this.total = this.list.length;
      this.error = "";
    } catch (error) {
      this.fail(error, reading);
    } finally {
      this.finish(reading);
    }
  }

  /** See to it that the rows hold what these columns show: read anew where they do not. */
  async hold(columns: string[]): Promise<void> {
    const lacks = columns.filter((column) => !this.asked.columns.includes(column));
    if (!lacks.length) return;
    const asked = { ...this.asked, columns };
    // The first page has all figures and settings anyhow.
    if (this.ready && this.list.length <= FIRST && lacks.every((column) => column === "progress" || /^(metric|config):/.test(column))) this.asked = asked;
    else if (this.ready || this.reading) await this.read(asked);
  }

  /** Change what is known of some runs, wherever they stand. Tells which of them are not here. */
  patch(changes: ReadonlyMap<string, Partial<RunRow>>): string[] {
    const missing: string[] = [];
    let next: RunRow[] | null = null;
    for (const [code, change] of changes) {
      const at = this.places.get(code);
      if (at === undefined) {
        missing.push(code);
        continue;
      }
      next ??= [...this.list];
      const row = next[at];
      next[at] = { ...row, ...change, summary: change.summary ? { ...row.summary, ...change.summary } : row.summary };
    }
    if (next) this.list = next;
    return missing;
  }

  find(code: string): RunRow | undefined {
    const at = this.places.get(code);
    return at === undefined ? undefined : this.list[at];
  }

  stop(): void {
    this.reading?.abort();
    this.reading = null;
  }

  private take(rows: RunRow[], next: string | null): void {
    const list = [...this.list];
    // A run whose value changed while pages were read may come twice.
    for (const row of rows) {
      if (this.places.has(row.code)) continue;
      this.places.set(row.code, list.length);
      list.push(row);
    }
    this.list = list;
    this.next = next;
  }

  private fail(error: unknown, reading: AbortController): void {
    if (isAbort(error) || this.reading !== reading) return;
    this.error = messageOf(error);
    this.fields = error instanceof ApiError ? error.fields : {};
  }

  private finish(reading: AbortController): void {
    if (this.reading !== reading) return;
    this.reading = null;
    this.loading = false;
    // What came into view meanwhile.
    if (!this.error && this.next && this.list.length < this.wanted) void this.reach(this.wanted);
  }
}

/** What is asked for first: rows with all figures and settings, which the charts and the usual columns are made of. */
export const firstPage = ({ query, columns }: Asked): Query => ({
  ...query, limit: FIRST, column: [...new Set([...columns.filter((id) => !/^(metric|config):/.test(id)), "summary", "config", "progress"])],
});

/** A query without what is not about which runs are meant. */
export function narrowing(query: Query): Query {
  const { sort: _sort, limit: _limit, column: _column, ...rest } = query;
  return rest;
}
