/** The runs of an experiment, kept up to date; which of them are drawn, and their colours. */
import * as api from "../api";
import type { Experiment, Mark, Run } from "../api/types";
import { assignColours } from "../lib/colours";
import type { PointsFrame } from "../live/frames";
import { subscribe } from "../live/live.svelte";
import { Resource } from "./resource.svelte";
import { readStored, writeStored } from "./stored";

const DRAWN_AT_FIRST = 10;
const MOST_MARKED = 100; // that many runs are asked for at once
const LIVE = new Set(["starting", "running", "paused", "stopping"]);

export class ExperimentState {
  readonly experiment: Resource<Experiment>;
  readonly list: Resource<Run[]>;
  /** What changed the runs that are drawn. */
  readonly marks: Resource<Mark[]>;
  runs = $state.raw<Run[]>([]);
  /** Codes of the runs on the charts. */
  drawn = $state.raw<ReadonlySet<string>>(new Set());
  readonly colours = $derived(assignColours([...this.drawn]));
  readonly drawnRuns = $derived(this.runs.filter((run) => this.drawn.has(run.code)));
  readonly liveDrawn = $derived(this.drawnRuns.filter((run) => LIVE.has(run.state)).map((run) => run.code).sort().join());
  private unsubscribe: (() => void) | null = null;
  private figures = new Map<string, { step: number; summary: Record<string, number | string | null> }>();
  private timer = 0;
  private chosen = false; // the person, or an earlier visit, said what to draw

  constructor(readonly id: string) {
    this.experiment = new Resource((signal) => api.experiment(id, signal));
    this.list = new Resource((signal) => api.runs({ experiment: id }, signal));
    this.marks = new Resource(async (signal) => {
      const codes = this.drawnRuns.map((run) => run.code).slice(0, MOST_MARKED);
      return codes.length ? api.marksOf(codes, signal) : [];
    });
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
    void this.load();
  }

  stop(): void {
    this.unsubscribe?.();
    window.clearTimeout(this.timer);
    this.experiment.stop();
    this.list.stop();
    this.marks.stop();
  }

  async load(): Promise<void> {
    await this.list.load();
    this.take(this.list.data ?? []);
  }

  draw(codes: Iterable<string>): void {
    this.drawn = new Set(codes);
    this.chosen = true;
    writeStored(`drawn.${this.id}`, [...this.drawn]);
  }

  toggle(code: string): void {
    const next = new Set(this.drawn);
    if (!next.delete(code)) next.add(code);
    this.draw(next);
  }

  /** Figures of live points go into the table twice a second: a table that flickers cannot be read. */
  points(code: string, frame: PointsFrame): void {
    const figures = this.figures.get(code) ?? { step: 0, summary: {} };
    for (const [key, { step, value }] of Object.entries(frame.columns)) {
      if (!step.length) continue;
      figures.step = Math.max(figures.step, step[step.length - 1]);
      figures.summary[key] = value[value.length - 1];
    }
    this.figures.set(code, figures);
    if (!this.timer) this.timer = window.setTimeout(() => this.apply(), 500);
  }

  private apply(): void {
    this.timer = 0;
    const { figures } = this;
    this.figures = new Map();
    this.runs = this.runs.map((run) => {
      const found = figures.get(run.code);
      return found ? { ...run, last_step: Math.max(run.last_step ?? 0, found.step), summary: { ...run.summary, ...found.summary } } : run;
    });
  }

  private take(runs: Run[]): void {
    this.runs = runs;
    if (!this.chosen) this.drawn = new Set(runs.slice(0, DRAWN_AT_FIRST).map((run) => run.code));
  }

  private changed(what: string, data: Record<string, unknown>): void {
    if (what === "decision") this.marks.soon(1000);
    if (what !== "run") return;
    const at = this.runs.findIndex((run) => run.code === data.code);
    if (at < 0 || data.deleted) {
      void this.reload();
      return;
    }
    const { reason: _reason, ...fields } = data;
    this.runs = this.runs.with(at, { ...this.runs[at], ...(fields as Partial<Run>) });
    if ("state" in data) this.experiment.soon(1000);
  }

  private reloading = 0;
  private reload(): void {
    if (this.reloading) return;
    this.reloading = window.setTimeout(() => {
      this.reloading = 0;
      void this.load();
    }, 500);
  }
}
