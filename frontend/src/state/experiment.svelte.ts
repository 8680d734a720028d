/**
 * The runs of an experiment, kept up to date; which of them are drawn, and their colours: one selection for the table and
 * the charts.
 */
import * as api from "../api";
import type { Experiment, Mark, RunColumns } from "../api/types";
import { drawnOf } from "../charts/panels/groups.svelte";
import { Palette, choiceFor } from "../lib/colours";
import type { Layout, ViewState } from "../lib/savedview";
import { changeOf } from "../lib/rowchange";
import { askedFor, isMeasured, type RunRow, type WholeRow } from "../lib/table";
import type { PointsFrame } from "../live/frames";
import { subscribe } from "../live/live.svelte";
import { GroupedRuns } from "./groups.svelte";
import { Resource } from "./resource.svelte";
import { router } from "./router.svelte";
import { RunRows } from "./runrows.svelte";
import { readStored, writeStored } from "./stored";
import { TableState } from "./table.svelte";

const DRAWN_AT_FIRST = 10;
const MOST_MARKED = 100; // that many runs are asked for at once
const MOST_DRAWN = 500;
const NOBODY = "-"; // in the address: none is drawn
const LIVE = new Set(["starting", "running", "paused", "stopping"]);
const AGAIN = 30_000; // milliseconds after which runs that go on are asked about anew
const MOST_AGAIN = 100;
const FIGURES = new Set(["summary", "last_step", "last_seen_at"]);
const WHOLE = ["name", "state", "silent", "created_at", "started_at", "ended_at", "last_step", "tags", "summary", "config"];

export class ExperimentState {
  readonly experiment: Resource<Experiment>;
  readonly columns: Resource<RunColumns>;
  /** What changed the runs that are drawn. */
  readonly marks: Resource<Mark[]>;
  readonly table: TableState;
  readonly rows = new RunRows((rows) => this.begin(rows));
  readonly groups = new GroupedRuns((rows) => this.note(rows));
  /** Runs with all their figures: those that are drawn, pinned or compared with are among them. */
  private known = $state.raw<ReadonlyMap<string, WholeRow>>(new Map());
  /** Codes of the runs on the charts. */
  drawn = $state.raw<ReadonlySet<string>>(new Set());
  /** Runs that match and were made since the list was read: they are shown when the person says so. */
  fresh = $state(0);
  /** Whether what the list is sorted by has moved since it was read. */
  stale = $state(false);
  /** What the charts keep of how they are looked at; saved with a view, never looked into here. */
  panels = $state.raw<unknown>(null);
  private readonly palette = new Palette();
  readonly colours = $derived.by(() => this.palette.of([...this.drawn], this.table.view.colours));
  private readonly groupPalette = new Palette();
  /** Of the groups that are drawn, by their values. */
  readonly groupColours = $derived.by(() => (this.groups.told ? drawnOf(this.groups.told.by, this.groups.told.groups, this.table.view.lines, this.groupPalette) : new Map<string, string>()));
  readonly drawnRuns = $derived([...this.drawn].flatMap((code) => this.known.get(code) ?? []));
  readonly liveDrawn = $derived(this.drawnRuns.filter((run) => LIVE.has(run.state)).map((run) => run.code).sort().join());
  readonly pinnedRuns = $derived.by(() => this.table.view.pinned.flatMap((code) => this.known.get(code) ?? []));
  readonly baseline = $derived.by(() => this.known.get(this.table.view.baseline) ?? null);
  private unsubscribe: (() => void) | null = null;
  private changes = new Map<string, Partial<RunRow>>();
  private timer = 0;
  private looking = 0;
  private again = 0;
  private moved = new Set<string>(); // runs whose state has changed
  private newest: string | null = null; // when the newest of those that the list was read of was made
  private chosen = false; // the person, or an earlier visit, said what to draw
  private asked = new Set<string>();
  private before: string[]; // what was drawn before one run was drawn alone

  constructor(readonly id: string) {
    this.table = new TableState(id);
    this.experiment = new Resource((signal) => api.experiment(id, signal));
    this.columns = new Resource((signal) => api.runColumns(this.table.narrow, signal));
    this.marks = new Resource(async (signal) => {
      const codes = this.drawnRuns.map((run) => run.code).slice(0, MOST_MARKED);
      return codes.length ? api.marksOf(codes, signal) : [];
    });
    this.panels = readStored<unknown>(`panels.${id}`, null);
    this.before = readStored<string[]>(`others.${id}`, []);
    const kept = readStored<string[] | null>(`drawn.${id}`, null);
    if (kept) {
      this.drawn = new Set(kept);
      this.chosen = true;
    }
  }

  start(): void {
    this.unsubscribe = subscribe(`experiment:${this.id}`, {
      frame: (frame) => {
        if (frame.type === "changed") this.changed(frame.what, frame.data);
      },
      refresh: () => void this.load(),
    });
    void this.experiment.load();
    this.again = window.setInterval(() => {
      if (!document.hidden) void this.askAgain([...this.known.values(), ...this.rows.list].filter((run) => LIVE.has(run.state)).map((run) => run.code));
    }, AGAIN);
  }

  stop(): void {
    this.unsubscribe?.();
    window.clearInterval(this.again);
    window.clearTimeout(this.timer);
    window.clearTimeout(this.looking);
    for (const each of [this.experiment, this.columns, this.marks, this.rows, this.groups]) each.stop();
  }

  /** Read the table anew, as it is looked at now. */
  async load(): Promise<void> {
    const { view, narrow, columns } = this.table;
    this.fresh = 0;
    this.stale = false;
    const asked = askedFor(columns.map((each) => each.id));
    if (view.groups.length) {
      const measure = columns.map((each) => each.id).filter(isMeasured).slice(0, 20);
      const [told] = await Promise.all([api.runCount(narrow).catch(() => null), this.groups.read({ query: narrow, by: view.groups, measure, sort: view.sort, columns: asked })]);
      this.newest = told?.newest ?? null;
      // The first runs are drawn until somebody chooses, whether they are in groups or not.
      if (!this.rows.ready) await this.rows.read({ query: { ...narrow, sort: view.sort }, columns: asked });
    } else {
      await this.rows.read({ query: { ...narrow, sort: view.sort }, columns: asked });
      this.newest = this.rows.newest;
    }
    if (this.columns.data || this.columns.error) this.columns.soon(50);
  }

  /** See to it that these runs are known with all their figures. */
  async want(codes: Iterable<string>): Promise<void> {
    const missing = [...codes].filter((code) => !this.known.has(code) && !this.asked.has(code));
    for (const code of missing) this.asked.add(code);
    for (let at = 0; at < missing.length; at += 100) {
      try {
        const code = missing.slice(at, at + 100).join();
        this.note((await api.runPage({ experiment: this.id, code, limit: 100, column: WHOLE })).results);
      } catch {
        for (const code of missing) this.asked.delete(code); // the list says what is wrong
      }
    }
  }

  /** A run that is on screen, wherever it came from. */
  find(code: string): RunRow | undefined {
    return this.rows.find(code) ?? this.groups.find(code) ?? this.known.get(code);
  }

  draw(codes: Iterable<string>): void {
    this.drawn = new Set([...codes].slice(0, MOST_DRAWN));
    this.chosen = true;
    if (this.drawn.size > 1) this.before = [];
    writeStored(`drawn.${this.id}`, [...this.drawn]);
    writeStored(`others.${this.id}`, this.before);
    // A long list would be too long an address; then the browser alone keeps it.
    const { others } = this;
    router.query({ draw: this.drawn.size ? (this.drawn.size <= 100 ? [...this.drawn].join() : null) : NOBODY, others: others.length <= 100 ? others.join() : null });
  }

  /** What comes back after one run was drawn alone. */
  private get others(): string[] {
    return this.drawn.size === 1 ? this.before : [];
  }

  /** What the address says is drawn, and was before one was drawn alone. */
  drawAsked(asked: string, others: string): void {
    const codes = asked === NOBODY ? [] : asked.split(",").filter(Boolean).slice(0, MOST_DRAWN);
    if (others) this.before = others.split(",").slice(0, MOST_DRAWN);
    if (codes.length === this.drawn.size && codes.every((code) => this.drawn.has(code))) return;
    this.drawn = new Set(codes);
    this.chosen = true;
  }

  toggle(code: string): void {
    const next = new Set(this.drawn);
    if (!next.delete(code)) next.add(code);
    this.draw(next);
  }

  /** Draw one run alone; `unsolo` brings the others back, also after one was looked at alone after another. */
  solo(code: string): void {
    if (this.drawn.size !== 1 || !this.before.length) this.before = [...this.drawn];
    this.draw([code]);
  }

  unsolo(): void {
    const { before } = this;
    this.before = [];
    this.draw(before.length ? before : this.rows.list.slice(0, DRAWN_AT_FIRST).map((run) => run.code));
  }

  /** How the charts are looked at now: for a saved view, and for the next visit. */
  keepPanels(panels: unknown): void {
    this.panels = panels;
    writeStored(`panels.${this.id}`, panels);
  }

  /** All that is seen, as a saved view keeps it. */
  seen(layout: Layout): ViewState {
    const { view, columns } = this.table;
    const colours = choiceFor(this.palette.of([...new Set([...this.drawn, ...this.others])], view.colours), view.colours);
    return { version: 1, layout, table: { ...view, columns: [...columns], colours }, drawn: [...this.drawn], others: this.others, panels: this.panels };
  }

  /** Figures of live points go into the table twice a second: a table that flickers cannot be read. */
  points(code: string, frame: PointsFrame): void {
    const summary: Record<string, number | string | null> = {};
    let last = 0;
    for (const [key, { step, value }] of Object.entries(frame.columns)) {
      if (!step.length) continue;
      last = Math.max(last, step[step.length - 1]);
      summary[key] = value[value.length - 1];
    }
    this.change(code, { summary, last_step: Math.max(last, this.changes.get(code)?.last_step ?? 0) });
  }

  private change(code: string, change: Partial<RunRow>): void {
    const before = this.changes.get(code);
    this.changes.set(code, { ...before, ...change, ...(change.summary ? { summary: { ...before?.summary, ...change.summary } } : {}) });
    if (!this.timer) this.timer = window.setTimeout(() => this.apply(), 500);
  }

  private apply(): void {
    this.timer = 0;
    const { changes } = this;
    this.changes = new Map();
    const missing = this.rows.patch(changes);
    this.groups.patch(changes);
    if (this.table.view.groups.length) this.groups.soon();
    const known = new Map(this.known);
    let touched = false;
    for (const [code, change] of changes) {
      const run = known.get(code);
      if (!run) continue;
      known.set(code, { ...run, ...change, summary: { ...run.summary, ...change.summary } });
      touched = true;
    }
    if (touched) this.known = known;
    const sorted = this.table.view.sort.replace(/^-/, "");
    const moves = (change: Partial<RunRow>) => sorted in change || (sorted.startsWith("metric:") && sorted.slice(7) in (change.summary ?? {}));
    if ([...changes.values()].some(moves)) this.stale = true;
    // One that is known, such as a drawn one, is looked for where more than its figures changed: it may match only now.
    const matters = (code: string) => !this.known.has(code) || Object.keys(changes.get(code) ?? {}).some((name) => !FIGURES.has(name));
    if (missing.some((code) => !this.groups.find(code) && matters(code))) this.look();
  }

  private note(rows: readonly RunRow[]): void {
    const known = new Map(this.known);
    for (const row of rows) known.set(row.code, { ...row, summary: row.summary ?? {}, config: row.config ?? {} });
    this.known = known;
  }

  /** The first rows of the list say what there is to see. */
  private begin(rows: readonly RunRow[]): void {
    this.note(rows);
    if (!this.table.first.length) this.table.first = rows;
    if (!this.chosen) this.drawn = new Set(rows.slice(0, DRAWN_AT_FIRST).map((run) => run.code));
  }

  private changed(what: string, data: Record<string, unknown>): void {
    if (what === "decision") this.marks.soon(1000);
    if (what === "experiment") this.experiment.soon(0);
    if (what !== "run" || typeof data.code !== "string") return;
    const { reason: _reason, code, ...fields } = data;
    this.change(code as string, data.deleted ? { state: "deleted" as RunRow["state"] } : (fields as Partial<RunRow>));
    if (!("state" in data) && !data.deleted) return;
    this.experiment.soon(1000);
    if (data.deleted) return;
    this.moved.add(code as string);
    if (this.moved.size > 1) return;
    window.setTimeout(() => {
      const { moved } = this;
      this.moved = new Set();
      void this.askAgain(moved);
    }, 1000);
  }

  /** What no frame tells: when a run ended, how long it took, what it cost, that nothing is heard of it. */
  private async askAgain(codes: Iterable<string>): Promise<void> {
    const some = [...new Set(codes)].filter((code) => this.find(code)).slice(0, MOST_AGAIN);
    if (!some.length) return;
    const column = [...new Set([...askedFor(this.table.columns.map((each) => each.id)).filter((id) => !id.startsWith("config:")), "state", "silent", "started_at", "ended_at"])];
    try {
      const { results } = await api.runPage({ experiment: this.id, code: some.join(), limit: MOST_AGAIN, column });
      for (const row of results) {
        const before = this.find(row.code);
        const change = before ? changeOf(before, row) : {};
        if (Object.keys(change).length) this.change(row.code, change);
      }
    } catch {
      // It is asked again anyhow.
    }
  }

  /** Ask soon how many runs there are that the list does not show. */
  private look(): void {
    if (this.looking) return;
    this.looking = window.setTimeout(async () => {
      this.looking = 0;
      if (!this.rows.total && !this.groups.told?.total) return void this.load();
      const { narrow, view } = this.table;
      const here = view.groups.length ? (this.groups.told?.total ?? 0) : this.rows.total;
      try {
        const where = this.newest ? [`created_at > ${this.newest}`] : [];
        const [made, all] = await Promise.all([api.runCount({ ...narrow, where }), narrow.find || narrow.filter ? api.runCount(narrow) : null]);
        // Older ones may match only now.
        this.fresh = Math.max(made.count, (all?.count ?? 0) - here);
      } catch {
        // The next change asks again.
      }
    }, 500);
  }
}
