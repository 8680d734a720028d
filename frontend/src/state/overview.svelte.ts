/** The first page: what runs, what needs a person, and small lines of what is running. */
import * as api from "../api";
import type { Experiment, Job, Node, Overview, Run } from "../api/types";
import { SeriesBoard } from "../charts/board";
import { subscribe } from "../live/live.svelte";
import { Resource } from "./resource.svelte";

const LINES = 12; // running runs that get a small line at first

export class OverviewState {
  readonly overview = new Resource<Overview>((signal) => api.overview(signal));
  readonly experiments = new Resource<Experiment[]>((signal) => api.experiments({}, signal));
  readonly nodes = new Resource<Node[]>((signal) => api.nodes(signal));
  readonly waiting = new Resource<Job[]>(async (signal) => (await api.queue(signal)).waiting);
  /** Run code -> step and values of its main metric. */
  lines = $state.raw<Record<string, { key: string; values: number[]; last: number; step: number | null }>>({});
  private boards = new Map<string, { stop: () => void }>();
  private stops: (() => void)[] = [];
  private timer = 0;
  private most = LINES;

  start(): void {
    const changed = { frame: () => this.soon(), refresh: () => void this.load() };
    this.stops = ["queue", "fleet"].map((topic) => subscribe(topic, changed));
    // What nobody tells of (a run that fell silent, a disk that fills) is seen within a minute.
    const slow = window.setInterval(() => !document.hidden && void this.overview.load().then(() => (this.below(), this.follow())), 30_000);
    this.stops.push(() => window.clearInterval(slow));
    void this.load();
  }

  stop(): void {
    for (const stop of this.stops) stop();
    for (const { stop } of this.boards.values()) stop();
    this.boards.clear();
    window.clearTimeout(this.timer);
    for (const each of [this.overview, this.experiments, this.nodes, this.waiting]) each.stop();
  }

  async load(): Promise<void> {
    // Both before the small lines: an experiment's goal says which metric they draw.
    await Promise.all([this.overview.load(), this.experiments.load()]);
    this.below();
    this.follow();
    const topics = new Set(this.experiments.data?.map((each) => `experiment:${each.id}`));
    this.topics(topics);
  }

  /** What stands further down is asked for once the head of the page is there, and only where there is some. */
  private below(): void {
    const { devices, queued } = this.overview.data ?? {};
    if (devices?.total) void this.nodes.load();
    if (queued || this.waiting.data?.length) void this.waiting.load();
  }

  soon(): void {
    this.timer ||= window.setTimeout(() => {
      this.timer = 0;
      void this.load();
    }, 700);
  }

  private watched = new Set<string>();
  private topics(topics: Set<string>): void {
    for (const topic of [...topics].slice(0, 50)) {
      if (this.watched.has(topic)) continue;
      this.watched.add(topic);
      this.stops.push(subscribe(topic, { frame: (frame) => frame.type === "changed" && ("state" in frame.data || frame.data.deleted) && this.soon(), refresh: () => this.soon() }));
    }
  }

  /** All of the listed runs are looked at. */
  all(): void {
    this.most = Infinity;
    this.follow();
  }

  private follow(): void {
    const running = (this.overview.data?.running ?? []).slice(0, this.most);
    for (const [code, { stop }] of this.boards) {
      if (running.some((run) => run.code === code)) continue;
      stop();
      this.boards.delete(code);
    }
    for (const run of running) if (!this.boards.has(run.code)) this.watch(run);
  }

  private watch(run: Run): void {
    const source = `run:${run.code}`;
    let board: SeriesBoard | null = null;
    const begin = (names: string[]): SeriesBoard | null => {
      const key = this.mainOf(run, names);
      return key ? this.draw(run.code, new SeriesBoard([source], "step", 60), source, key) : null;
    };
    board = begin(Object.keys(run.summary));
    const stop = subscribe(source, {
      frame: (frame) => {
        // A run that has begun just now says with its first points what there is to draw.
        if (frame.type === "points") (board ??= begin(Object.keys(frame.columns)))?.points(source, frame);
        else if (frame.type === "changed" && frame.what === "run" && "state" in frame.data) this.soon();
      },
      refresh: () => board?.refresh(),
    });
    this.boards.set(run.code, { stop: () => (stop(), board?.stop()) });
  }

  private mainOf(run: Run, names: string[]): string | undefined {
    const goal = this.experiments.data?.find((each) => each.id === run.experiment)?.goal_metric;
    return [goal ?? "", "loss", "reward", "accuracy"].find((name) => names.includes(name)) ?? names.find((name) => !name.startsWith("_"));
  }

  private draw(code: string, board: SeriesBoard, source: string, key: string): SeriesBoard {
    let asked = false;
    const draw = () => {
      asked = false;
      const columns = board.line(source, key)?.columns;
      if (!columns) return;
      this.lines = { ...this.lines, [code]: { key, values: Array.from(columns.mean), last: columns.last.at(-1) ?? NaN, step: columns.step.at(-1) ?? null } };
    };
    board.listen(key, () => {
      // Four times a second is as live as a line of this size can look.
      if (!asked) asked = !!window.setTimeout(draw, 250);
    });
    board.want(key);
    return board;
  }
}
