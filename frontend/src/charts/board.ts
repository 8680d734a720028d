/**
 * The series of a page: read in batches, extended by live points, read again where points may be missing.
 *
 * Nothing here is reactive. A chart listens to its key and draws on the next frame.
 */
import * as api from "../api";
import { isAbort, messageOf } from "../api/client";
import { append, cell, coarsen, emptyColumns, type Part, type XAxis } from "../lib/columns";
import type { PointsFrame } from "../live/frames";
import { listening } from "../live/live.svelte";
import type { XRange } from "./group";
import { asLine, asPart, OWN_AXES, xOf, type Entry, type LatePoint, type SeriesLine } from "./series";

export type { SeriesLine };

const KEYS_PER_READ = 40;
const GATHER_MILLISECONDS = 15;
const SETTLE_MILLISECONDS = 180; // after the last change of a zoom, before its exact points are read
const AGAIN_MILLISECONDS = 3000; // after a reading that failed

export type Read = typeof api.series;

export class SeriesBoard {
  error = "";
  /** What of the axis there is to be seen; null: as far as there are points. Set before the first reading. */
  span: [from: number | null, to: number | null] = [null, null];
  private entries = new Map<string, Entry>(); // by key, a tab, source
  private listeners = new Map<string, Set<() => void>>();
  private wanted = new Map<string, number>(); // key -> how many visible charts
  private loaded = new Set<string>();
  private pending = new Set<string>();
  private timer = 0;
  private settle = 0;
  private again = 0;
  private range: XRange | null = null; // of all keys
  private ranges = new Map<string, XRange | null>(); // of keys that are zoomed by themselves
  private lead = 0; // points before the range of a zoom
  private byStep = new Set<string>(); // keys without any data on the axis that was asked for
  private late: LatePoint[] | null = null; // live points that came while a read was under way
  private reading = 0;
  private questions = 0;
  private answered = new Map<string, number>(); // key -> the question whose answer is shown

  constructor(
    private sources: string[],
    readonly x: XAxis = "step",
    readonly width = 1000,
    private read: Read = api.series,
    private ready: (sources: readonly string[]) => Promise<void> = listening,
  ) {}

  listen(key: string, listener: () => void): () => void {
    const set = this.listeners.get(key) ?? new Set();
    this.listeners.set(key, set.add(listener));
    return () => set.delete(listener);
  }

  /** A chart of this key came into view (or left it): its points are read once and kept up to date. */
  want(key: string): () => void {
    this.wanted.set(key, (this.wanted.get(key) ?? 0) + 1);
    if (!this.loaded.has(key)) this.ask([key]);
    else if (this.rangeOf(key)) this.askZoom();
    return () => {
      const left = (this.wanted.get(key) ?? 1) - 1;
      if (left > 0) this.wanted.set(key, left);
      else this.wanted.delete(key);
    };
  }

  isLoaded = (key: string): boolean => this.loaded.has(key);

  line(source: string, key: string): SeriesLine | null {
    const entry = this.entries.get(`${key}\t${source}`);
    if (!entry) return null;
    if (entry.line) return entry.line;
    const zoomed = this.rangeOf(key) ? entry.zoomed : null;
    return (entry.line = { ...asLine(zoomed?.parts ?? entry.parts, this.axisOf(key)), lead: zoomed?.lead });
  }

  /** The axis that a key's lines have: the board's own, or the step where the key has no data on that one. */
  axisOf = (key: string): XAxis => (this.byStep.has(key) ? "step" : this.x);

  /** Whether a source has points of a key, and none with a place on the key's axis. */
  lacksAxis(source: string, key: string): boolean {
    const parts = this.entries.get(`${key}\t${source}`)?.parts ?? [];
    return parts.length > 0 && parts.every((part) => (part.axis ?? this.x) !== this.axisOf(key));
  }

  /** Whether a source has no point of a key at all. */
  lacks = (source: string, key: string): boolean => this.loaded.has(key) && !this.entries.get(`${key}\t${source}`)?.parts.length;

  private rangeOf = (key: string): XRange | null => this.ranges.get(key) ?? this.range;

  setSources(sources: string[]): void {
    const added = sources.some((source) => !this.sources.includes(source));
    this.sources = sources;
    for (const name of [...this.entries.keys()]) {
      if (!sources.includes(name.slice(name.indexOf("\t") + 1))) this.entries.delete(name);
    }
    if (added) this.refresh();
    else for (const key of this.loaded) this.tell(key);
  }

  /** Read everything again that is on screen; the rest when it comes back into view. */
  refresh(): void {
    const keys = [...this.wanted.keys()];
    this.loaded.clear();
    this.ask(keys);
    if (keys.some(this.rangeOf)) this.askZoom();
  }

  /** Show a range: of all keys, or of some by themselves. */
  zoom(range: XRange | null, keys: string[] | null = null): void {
    if (keys) for (const key of keys) this.ranges.set(key, range);
    else {
      this.range = range;
      this.ranges.clear();
    }
    window.clearTimeout(this.settle);
    for (const [name, entry] of this.entries) {
      if (keys && !keys.includes(name.slice(0, name.indexOf("\t")))) continue;
      entry.zoomed = entry.line = null;
    }
    if (range) this.askZoom();
    else for (const key of keys ?? this.loaded) this.tell(key);
  }

  /** How many points before the range of a zoom its lines are smoothed over. */
  leadIn(points: number): void {
    const more = points > this.lead;
    this.lead = points;
    if (more && [...this.wanted.keys()].some(this.rangeOf)) this.askZoom();
  }

  /** Live points of one of the sources. */
  points(source: string, frame: PointsFrame): void {
    if (!this.sources.includes(source)) return;
    for (const [key, column] of Object.entries(frame.columns)) {
      if (!this.loaded.has(key) && !this.pending.has(key) && !this.late) continue;
      for (let i = 0; i < column.step.length; i++) {
        const point = { source, key, branch: frame.branch, step: column.step[i], time: column.time[i], value: cell(column.value[i]) };
        this.late?.push(point);
        this.add(point);
      }
      this.tell(key);
    }
  }

  stop(): void {
    for (const timer of [this.timer, this.settle, this.again]) window.clearTimeout(timer);
    this.listeners.clear();
  }

  private ask(keys: string[]): void {
    for (const key of keys) this.pending.add(key);
    if (keys.length) this.late ??= [];
    if (!this.timer && this.pending.size) this.timer = window.setTimeout(() => void this.flush(), GATHER_MILLISECONDS);
  }

  private async flush(): Promise<void> {
    // Read before the server listens, what came in between would be in neither.
    await this.ready(this.sources);
    this.timer = 0;
    const keys = [...this.pending];
    this.pending.clear();
    for (let i = 0; i < keys.length; i += KEYS_PER_READ) await this.readBase(keys.slice(i, i + KEYS_PER_READ));
  }

  private async readBase(keys: string[]): Promise<void> {
    if (!this.sources.length || !keys.length) return;
    const { sources } = this;
    const question = ++this.questions;
    this.reading += 1;
    try {
      const found = await this.readAll(sources, keys, this.x, null);
      if (this.sources !== sources) return; // others are wanted by now, and have been asked for
      // Answers may cross: one that was given earlier lacks what came until the later question.
      const fresh = keys.filter((key) => (this.answered.get(key) ?? 0) < question);
      for (const key of fresh) {
        this.answered.set(key, question);
        for (const source of sources) {
          const parts = found.get(`${key}\t${source}`) ?? [];
          const old = this.entries.get(`${key}\t${source}`);
          this.entries.set(`${key}\t${source}`, { parts, zoomed: old?.zoomed ?? null, line: null });
        }
        const parts = sources.flatMap((source) => this.entries.get(`${key}\t${source}`)!.parts);
        if (parts.length && parts.every((part) => part.axis !== undefined && part.axis !== this.x)) this.byStep.add(key);
        else this.byStep.delete(key);
        this.loaded.add(key);
      }
      for (const point of this.late ?? []) if (fresh.includes(point.key) && this.isNewer(point)) this.add(point);
      this.error = "";
    } catch (error) {
      if (isAbort(error)) return;
      this.error = messageOf(error);
      this.retry(keys);
    } finally {
      this.reading -= 1;
      if (!this.reading && !this.pending.size) this.late = null;
      for (const key of keys) this.tell(key);
    }
  }

  private askZoom(after = SETTLE_MILLISECONDS): void {
    window.clearTimeout(this.settle);
    this.settle = window.setTimeout(() => void this.readZoom(), after);
  }

  private async readZoom(): Promise<void> {
    const { sources } = this;
    // Keys that show the same range on the same axis are asked for together.
    const together = new Map<string, string[]>();
    for (const key of this.wanted.keys()) {
      const range = this.rangeOf(key);
      if (!range) continue;
      const name = JSON.stringify([range, this.axisOf(key)]);
      together.set(name, [...(together.get(name) ?? []), key]);
    }
    try {
      for (const keys of together.values()) {
        const range = this.rangeOf(keys[0]);
        if (!range) continue;
        for (let i = 0; i < keys.length; i += KEYS_PER_READ) {
          await this.readZoomOf(sources, keys.slice(i, i + KEYS_PER_READ), range);
          if (this.sources !== sources) return;
        }
      }
    } catch (error) {
      if (isAbort(error)) return;
      // The coarser points stay on screen until then.
      this.error = messageOf(error);
      this.askZoom(AGAIN_MILLISECONDS);
    }
  }

  private async readZoomOf(sources: string[], keys: string[], range: XRange): Promise<void> {
    const axis = this.axisOf(keys[0]);
    const found = await this.readAll(sources, keys, axis, range);
    const leads = this.lead ? await (await import("./lead")).leadsOf({
      sources, keys, axis, range, points: this.lead, found, base: (name) => this.entries.get(name),
      read: (sources, keys, range, width) => this.readAll(sources, keys, axis, range, width),
    }) : null;
    for (const key of keys) {
      if (this.rangeOf(key) !== range) continue;
      for (const source of sources) {
        const entry = this.entries.get(`${key}\t${source}`);
        const parts = found.get(`${key}\t${source}`);
        if (!entry || !parts) continue;
        entry.zoomed = { range, parts, lead: leads?.get(`${key}\t${source}`) };
        entry.line = null;
      }
      this.tell(key);
    }
  }

  private async readAll(sources: string[], keys: string[], x: XAxis, range: XRange | null, width = this.width): Promise<Map<string, Part[]>> {
    const out = new Map<string, Part[]>();
    for (let i = 0; i < sources.length; i += 100) {
      const body = { sources: sources.slice(i, i + 100), keys, width, x, start: (range ?? this.span)[0], end: (range ?? this.span)[1] };
      // Steps are whole: a zoom between two of them still has to hold both.
      if (range && (x === "step" || x === "relative_step")) [body.start, body.end] = [Math.floor(range[0]), Math.ceil(range[1])];
      for (const buckets of await this.read(body)) {
        const name = `${buckets.key}\t${buckets.source}`;
        const list = out.get(name) ?? [];
        list.push(asPart(buckets));
        out.set(name, list);
      }
    }
    return out;
  }

  private retry(keys: string[]): void {
    window.clearTimeout(this.again);
    this.again = window.setTimeout(() => {
      this.again = 0;
      this.ask(keys.filter((key) => this.wanted.has(key)));
    }, AGAIN_MILLISECONDS);
  }

  private isNewer(point: LatePoint): boolean {
    const parts = this.entries.get(`${point.key}\t${point.source}`)?.parts.filter((part) => part.branch === point.branch) ?? [];
    return parts.every((part) => (part.columns.time.at(-1) ?? -Infinity) < point.time);
  }

  private add(point: LatePoint): void {
    const name = `${point.key}\t${point.source}`;
    const entry = this.entries.get(name);
    if (!entry) return;
    const axis = this.axisOf(point.key);
    if (!OWN_AXES.includes(axis)) {
      this.refreshLater(); // another key's value at this step is not known here
      return;
    }
    let part = entry.parts.find((each) => each.branch === point.branch && !each.faded);
    if (!part) {
      if (entry.parts.length) {
        this.refreshLater(); // a new branch: what of the old ones is faded now is for the store to say
        return;
      }
      part = { branch: point.branch, faded: false, bucket: 1, exact: true, columns: emptyColumns(), nonFinite: [], axis };
      entry.parts.push(part);
    }
    append(part, point.step, point.time, xOf(point, axis, entry.parts), point.value);
    if (part.columns.x.length > 2 * this.width) coarsen(part, this.width);
    const { zoomed } = entry;
    const x = xOf(point, axis, entry.parts);
    if (zoomed && x >= zoomed.range[0] && x <= zoomed.range[1]) {
      const into = zoomed.parts.find((each) => each.branch === point.branch && !each.faded);
      if (into) append(into, point.step, point.time, x, point.value);
    }
    entry.line = null;
  }

  private refreshLater(): void {
    if (this.again) return;
    this.again = window.setTimeout(() => {
      this.again = 0;
      this.refresh();
    }, 1500);
  }

  private tell(key: string): void {
    for (const listener of this.listeners.get(key) ?? []) listener();
  }
}
