/** Everything about one run that a page shows, kept up to date over its topic. */
import * as api from "../api";
import type { Checkpoint, Command, Condition, Decision, Effect, Job, Json, Mark, MediaKey, Run, RunEvent, Schedule, Tunable } from "../api/types";
import { SeriesBoard } from "../charts/board";
import type { XAxis } from "../lib/columns";
import { isTroubled } from "../lib/condition";
import { Intents } from "../lib/intent";
import type { ChangedFrame, LinesFrame, OpenLinesFrame, PointsFrame } from "../live/frames";
import { subscribe } from "../live/live.svelte";
import { serverNow } from "../lib/skew";
import { Resource } from "./resource.svelte";

const JUDGE_EVERY = 2_500; // milliseconds, where the loss is in trouble
const JUDGE_REST = 4; // times as long, where nothing is waited for
/** What is told of a run about once a second while it logs. With these alone there is nothing else to be read again. */
const FIGURES = new Set(["code", "last_step", "last_seen_at", "summary", "usage"]);

export class RunState {
  readonly source: string;
  readonly run: Resource<Run>;
  readonly tunables: Resource<Tunable[]>;
  readonly commands: Resource<Command[]>;
  readonly checkpoints: Resource<Checkpoint[]>;
  readonly decisions: Resource<Decision[]>;
  readonly events: Resource<RunEvent[]>;
  readonly marks: Resource<Mark[]>;
  readonly condition: Resource<Condition>;
  readonly media: Resource<MediaKey[]>;
  /** Raised for a key when more of its media has come. */
  mediaVersions = $state.raw<Record<string, number>>({});
  readonly effects: Resource<Effect[]>;
  readonly schedules: Resource<Schedule[]>;
  /** What executes it; null for a script that somebody started. */
  readonly job: Resource<Job | null>;
  /** Keys that have points, in the order they were first seen. */
  keys = $state.raw<string[]>([]);
  step = $state<number | null>(null);
  lastPointAt = $state<number | null>(null); // milliseconds, by the server's clock
  board: SeriesBoard;
  private readonly keyList: Resource<string[]>;
  private readonly intents = new Intents();
  private lineListeners = new Set<(frame: LinesFrame | OpenLinesFrame | null) => void>();
  private branch = 0;
  private known = new Set<string>();
  private unsubscribe: (() => void) | null = null;
  private judging = 0;

  constructor(
    readonly code: string,
    x: XAxis,
  ) {
    this.source = `run:${code}`;
    this.run = new Resource((signal) => api.run(code, signal));
    this.tunables = new Resource((signal) => api.tunables(code, signal));
    this.commands = new Resource(async (signal) => (await api.commands(code, signal)).sort((a, b) => b.seq - a.seq));
    this.checkpoints = new Resource((signal) => api.checkpoints(code, signal));
    this.decisions = new Resource(async (signal) => (await api.decisions(code, signal)).sort((a, b) => b.id - a.id));
    this.events = new Resource((signal) => api.events(code, signal));
    this.marks = new Resource((signal) => api.marks(code, signal));
    this.condition = new Resource((signal) => api.condition(code, signal));
    this.media = new Resource((signal) => api.mediaKeys(code, signal));
    this.effects = new Resource((signal) => api.effects(code, signal));
    this.schedules = new Resource((signal) => api.schedules(code, signal));
    this.job = new Resource(async (signal) => (this.run.data?.job ? api.job(this.run.data.job, signal) : null));
    this.keyList = new Resource(async (signal) => (await api.keys(code, signal)).map((info) => info.key));
    this.board = new SeriesBoard([this.source], x);
  }

  start(): void {
    this.unsubscribe = subscribe(this.source, {
      frame: (frame) => {
        if (frame.type === "points") this.points(frame);
        else if (frame.type === "lines" || frame.type === "open_lines") this.lines(frame);
        else this.changed(frame);
      },
      refresh: () => this.refresh(),
    });
    void this.load();
    // While it lives its condition is asked for again now and then: silence too is one. Why it waits changes with what others do.
    let looks = 0;
    this.judging = window.setInterval(() => {
      if (document.hidden || this.run.data?.ended_at) return;
      if (looks++ % JUDGE_REST && !isTroubled(this.condition.data)) return;
      void (this.run.data?.state === "queued" ? this.job : this.condition).load();
    }, JUDGE_EVERY);
  }

  stop(): void {
    window.clearInterval(this.judging);
    this.unsubscribe?.();
    this.board.stop();
    for (const resource of [...this.resources(), this.job]) resource.stop();
  }

  /** Another horizontal axis: other columns from the store. */
  setAxis(x: XAxis): void {
    if (x === this.board.x) return;
    this.board.stop();
    this.board = new SeriesBoard([this.source], x);
  }

  /** Hear of new log lines, and of those that are being written; null means that some may have been missed. */
  onLines(listener: (frame: LinesFrame | OpenLinesFrame | null) => void): () => void {
    this.lineListeners.add(listener);
    return () => this.lineListeners.delete(listener);
  }

  /** Send a command, once however often it is tried, and show it at once, before the live line tells of it. */
  async send(body: api.CommandRequest): Promise<Command> {
    const command = await this.intents.ask(body, (keyed) => api.command(this.code, keyed));
    this.upsertCommand(command);
    return command;
  }

  /** Show commands that were made at once, before the live line tells of them. */
  took(made: readonly Command[]): void {
    for (const command of made) this.upsertCommand(command);
  }

  /** Whether it is known which keys there are; before that nothing can be said of them. */
  get keysRead(): boolean {
    return this.keys.length > 0 || this.keyList.data !== undefined || this.keyList.error !== "";
  }

  /** How many processes train this run together. */
  get ranks(): number {
    const size = this.run.data?.process.world_size;
    return typeof size === "number" ? size : 1;
  }

  /** What came of a change; one of a group stands for all of it. */
  effectOf(command: Command): Effect | undefined {
    return this.effects.data?.find((effect) => effect.command === command.seq || (!!command.group && effect.group === command.group));
  }

  private resources() {
    return [this.run, this.tunables, this.commands, this.checkpoints, this.decisions, this.events, this.marks, this.media, this.condition, this.effects, this.schedules, this.keyList];
  }

  private async load(): Promise<void> {
    await Promise.all([
      this.run.load().then(() => {
        this.whereItStands();
        return this.job.load();
      }),
      this.keyList.load().then(() => this.addKeys(this.keyList.data ?? [])),
      ...this.resources().slice(1, -1).map((resource) => resource.load()),
    ]);
  }

  private whereItStands(): void {
    const { data } = this.run;
    if (!data) return;
    const branch = data.branches.at(-1)?.index ?? 0;
    // Live points are ahead of what was stored, on the same branch.
    if (branch >= this.branch) this.step = branch > this.branch ? data.last_step : newer(this.step, data.last_step);
    this.branch = Math.max(this.branch, branch);
  }

  private refresh(): void {
    void this.load();
    this.board.refresh();
    for (const listener of this.lineListeners) listener(null);
  }

  private points(frame: PointsFrame): void {
    this.board.points(this.source, frame);
    let step = this.step;
    if (frame.branch > this.branch) step = null; // training went back: the highest step is no longer where it stands
    this.branch = Math.max(this.branch, frame.branch);
    if (frame.branch === this.branch) for (const { step: steps } of Object.values(frame.columns)) if (steps.length) step = newer(step, steps[steps.length - 1]);
    this.step = step;
    this.lastPointAt = serverNow();
    this.addKeys(Object.keys(frame.columns));
    const run = this.run.data;
    if (run?.silent) this.run.data = { ...run, silent: false };
  }

  private addKeys(keys: string[]): void {
    const fresh = keys.filter((key) => !this.known.has(key));
    if (!fresh.length) return;
    for (const key of fresh) this.known.add(key);
    this.keys = [...this.known];
  }

  private lines(frame: LinesFrame | OpenLinesFrame): void {
    for (const listener of this.lineListeners) listener(frame);
  }

  private changed({ what, data }: ChangedFrame): void {
    switch (what) {
      case "run":
        if (this.run.data) this.run.data = { ...this.run.data, ...pick(data, this.run.data) };
        if (Object.keys(data).every((name) => FIGURES.has(name))) return this.condition.soon(JUDGE_EVERY);
        this.run.soon();
        // Another state may mean another attempt, on another node.
        this.job.soon(500);
        this.condition.soon(1000);
        this.events.soon();
        break;
      case "tunable":
        this.tunables.soon(100);
        break;
      case "command":
        if (typeof data.id === "number" && typeof data.state === "string") this.upsertCommand(data as unknown as Command);
        this.commands.soon();
        this.tunables.soon(100);
        this.schedules.soon();
        break;
      case "schedule":
        this.schedules.soon();
        this.commands.soon();
        break;
      case "effect":
        this.effects.soon();
        return;
      case "decision":
        this.decisions.soon();
        break;
      case "checkpoint":
        this.checkpoints.soon();
        break;
      case "media":
        this.media.soon(1000);
        if (typeof data.key === "string") this.mediaVersions = { ...this.mediaVersions, [data.key]: (this.mediaVersions[data.key] ?? 0) + 1 };
        return;
      case "job":
        this.job.soon(500);
        this.events.soon();
        this.run.soon(1000);
        break;
      default:
        this.events.soon();
        this.run.soon(1000);
    }
    this.marks.soon(500);
  }

  private upsertCommand(command: Command): void {
    const list = this.commands.data ?? [];
    const old = list.find((each) => each.id === command.id);
    // Answers and live frames may cross: a fate, once known, is not taken back.
    if (old && isFinal(old.state) && !isFinal(command.state)) return;
    this.commands.data = old ? list.map((each) => (each === old ? { ...old, ...command } : each)) : [command, ...list];
  }
}

export const isFinal = (state: string): boolean => state !== "pending" && state !== "sent";

/** Of what came, the fields that a run has; a message may carry more, and its "reason" is another thing. */
function pick(data: Record<string, Json>, run: Run): Partial<Run> {
  return Object.fromEntries(Object.entries(data).filter(([name]) => name in run)) as Partial<Run>;
}

function newer(old: number | null, step: number | null | undefined): number | null {
  return step === null || step === undefined ? old : old === null ? step : Math.max(old, step);
}
