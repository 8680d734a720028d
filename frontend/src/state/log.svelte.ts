/** A log of any length, of which the page holds the pages that somebody looks at. */
import * as api from "../api";
import { isAbort, messageOf } from "../api/client";
import type { LogLine } from "../api/types";
import { hasLevel } from "../lib/ansi";
import { OpenLineBook, type WrittenLine } from "../lib/openlines";
import type { LinesFrame, OpenLinesFrame } from "../live/frames";
import { listening } from "../live/live.svelte";

export interface Row {
  number: number;
  time: number;
  stream: string;
  text: string;
  /** It has not ended: a progress bar that moves. */
  open?: boolean;
  /** The rank or node that writes it, of a run of several. */
  whose?: string;
}
export type Level = "" | "debug" | "info" | "warning" | "error";

const PAGE = 500;
const MOST_PAGES = 40;
const MOST_HITS = 5000;
// Live lines carry no numbers: now and then the server is asked how many there are.
const COUNT_EVERY = 3000;

export class LogBook {
  total = $state(0);
  loaded = $state(false);
  error = $state("");
  levels = $state(false);
  /** Raised whenever a line that may be in view has come. */
  version = $state(0);
  /** Lines that were searched for, in order; null: nothing is. */
  hits = $state.raw<Row[] | null>(null);
  /** Where older hits begin; null: all are here. */
  before = $state<number | null>(null);
  searching = $state(false);
  /** Lines that are being written, below the last one. */
  open = $state.raw<WrittenLine[]>([]);
  private writing = new OpenLineBook();
  private toldOf = new Set<string>();
  private openTimer = 0;
  private pages = new Map<number, LogLine[]>();
  private asked = new Set<number>();
  private controller = new AbortController();
  private search: { text: string; level: Level } = { text: "", level: "" };
  private searchController: AbortController | null = null;
  private timer = 0;
  private searchTimer = 0;

  constructor(private code: string) {}

  /** The newest page, which says how many lines there are. */
  async start(): Promise<void> {
    this.pages.clear();
    await listening([`run:${this.code}`]);
    this.toldOf.clear();
    try {
      const page = await api.logs(this.code, { start: -PAGE, count: PAGE }, this.controller.signal);
      this.total = page.total;
      this.keep(page.first_line, page.lines);
      this.writing.read(page.open_lines, this.toldOf, performance.now());
      this.showOpen();
      this.loaded = true;
      this.error = "";
    } catch (error) {
      if (!isAbort(error)) this.error = messageOf(error);
    }
  }

  stop(): void {
    this.controller.abort();
    this.searchController?.abort();
    window.clearTimeout(this.timer);
    window.clearTimeout(this.searchTimer);
    window.clearTimeout(this.openTimer);
  }

  line(number: number): Row | undefined {
    const found = this.pages.get(Math.floor(number / PAGE))?.[number % PAGE];
    if (found) return { number, time: found[0], stream: found[1], text: found[2] };
    const open = this.open[number - this.total];
    return open && { number, time: open[0], stream: open[1], text: open[2], open: true, whose: open[3] };
  }

  /** The times of its first line and its last, in milliseconds. Raises an ApiError. */
  async span(): Promise<[first: number, last: number]> {
    const ends = [0, Math.max(0, this.total - 1)].map(async (number) => {
      const have = this.pages.get(Math.floor(number / PAGE))?.[number % PAGE];
      return (have ?? (await api.logs(this.code, { start: number, count: 1 }, this.controller.signal)).lines[0])?.[0];
    });
    const [first, last] = await Promise.all(ends);
    return [1000 * (first ?? 0), 1000 * (last ?? 0)];
  }

  /** Read what of these lines is not here. */
  need(first: number, last: number): void {
    for (let page = Math.floor(first / PAGE); page * PAGE < Math.min(last, this.total); page++) {
      const have = this.pages.get(page);
      const whole = Math.min(PAGE, this.total - page * PAGE);
      if (this.asked.has(page) || (have && have.length >= whole && !have.includes(undefined as never))) continue;
      this.asked.add(page);
      api.logs(this.code, { start: page * PAGE, count: PAGE }, this.controller.signal).then(
        ({ first_line, lines, total }) => {
          this.total = Math.max(this.total, total);
          this.pages.delete(page);
          this.keep(first_line, lines);
        },
        (error) => { if (!isAbort(error)) this.error = messageOf(error); },
      ).finally(() => this.asked.delete(page));
    }
  }

  /** Lines as they come, and those that are being written; null where some may have been missed. */
  live(frame: LinesFrame | OpenLinesFrame | null): void {
    if (frame?.type === "open_lines") {
      this.toldOf.add(frame.sender);
      this.writing.hear(frame, performance.now());
      return this.showOpen();
    }
    if (frame === null || !this.loaded) return void this.start();
    const { lines } = frame;
    this.keep(this.total, lines);
    this.total += lines.length;
    if (!this.timer) this.timer = window.setTimeout(() => void this.count(), COUNT_EVERY);
    if (this.hits && !this.searchTimer) this.searchTimer = window.setTimeout(() => void this.newHits(), 1000);
  }

  private showOpen(): void {
    const now = performance.now();
    this.open = this.writing.lines(now);
    window.clearTimeout(this.openTimer);
    const { next } = this.writing;
    this.openTimer = next === null ? 0 : window.setTimeout(() => this.showOpen(), next - now);
  }

  /** Look through the whole log. Without text and level nothing is searched for. */
  async find(text: string, level: Level): Promise<void> {
    this.search = { text, level };
    this.searchController?.abort();
    if (!text && !level) {
      this.hits = null;
      this.before = null;
      this.searching = false;
      return;
    }
    await this.read(null, []);
  }

  /** Older hits, before those that are here. */
  async older(): Promise<void> {
    if (this.before !== null && this.hits && this.hits.length < MOST_HITS) await this.read(this.before, this.hits);
  }

  private async read(before: number | null, kept: Row[]): Promise<void> {
    const controller = (this.searchController = new AbortController());
    const { text, level } = this.search;
    this.searching = true;
    try {
      const found = await api.logHits(this.code, { search: text, level, before, count: 1000 }, controller.signal);
      this.hits = [...found.hits.map(([number, time, stream, words]) => ({ number, time, stream, text: words })), ...kept];
      this.before = found.before;
      this.error = "";
    } catch (error) {
      if (!isAbort(error)) this.error = messageOf(error);
    } finally {
      if (this.searchController === controller) this.searching = false;
    }
  }

  /** What came since the newest hit, without moving those that are here. */
  private async newHits(): Promise<void> {
    this.searchTimer = 0;
    const { text, level } = this.search;
    if (!this.hits || this.searching) return;
    const last = this.hits[this.hits.length - 1]?.number ?? -1;
    try {
      const found = await api.logHits(this.code, { search: text, level, count: 1000 }, this.controller.signal);
      if (this.search.text !== text || this.search.level !== level || !this.hits) return;
      const fresh = found.hits.filter(([number]) => number > last);
      if (fresh.length) this.hits = [...this.hits, ...fresh.map(([number, time, stream, words]) => ({ number, time, stream, text: words }))].slice(-MOST_HITS);
    } catch { /* the next lines ask again */ }
  }

  private async count(): Promise<void> {
    this.timer = 0;
    try {
      const { total } = await api.logs(this.code, { start: -1, count: 1 }, this.controller.signal);
      if (total === this.total) return;
      // Lines came while they were counted, or some were missed: the end is read anew.
      const page = Math.floor(Math.min(total, this.total) / PAGE);
      for (const number of [...this.pages.keys()]) if (number >= page - 1) this.pages.delete(number);
      this.total = total;
      this.version += 1;
    } catch { /* the next lines ask again */ }
  }

  private keep(first: number, lines: LogLine[]): void {
    for (let i = 0; i < lines.length; i++) {
      const page = Math.floor((first + i) / PAGE);
      let have = this.pages.get(page);
      if (!have) this.pages.set(page, (have = []));
      have[(first + i) % PAGE] = lines[i];
      if (!this.levels && hasLevel(lines[i][2])) this.levels = true;
    }
    for (const page of this.pages.keys()) {
      if (this.pages.size <= MOST_PAGES) break;
      this.pages.delete(page); // the longest unread one is first
    }
    this.version += 1;
  }
}
