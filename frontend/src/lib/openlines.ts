/** The lines that are being written now: of each sender the last ones it told of, until it tells of others or falls silent. */

type Line = [time: number, stream: string, text: string];
export interface OpenLines {
  sender: string;
  /** "rank 0" or a node's name, of a run of several. */
  whose: string;
  lines: Line[];
}
export type WrittenLine = [...Line, whose: string];

export const SILENT_MILLISECONDS = 30_000; // the server repeats what stands every ten seconds

export class OpenLineBook {
  private senders = new Map<string, { lines: WrittenLine[]; whose: string; until: number }>();

  hear({ sender, whose, lines }: OpenLines, now: number): void {
    const written = lines.map((line): WrittenLine => [...line, whose]);
    if (lines.length) this.senders.set(sender, { lines: written, whose, until: now + SILENT_MILLISECONDS });
    else this.senders.delete(sender);
  }

  /** All that a reading found; what was told since it began, about `told`, is newer. */
  read(found: readonly OpenLines[], told: ReadonlySet<string>, now: number): void {
    for (const sender of this.senders.keys()) if (!told.has(sender)) this.senders.delete(sender);
    for (const each of found) if (!told.has(each.sender)) this.hear(each, now);
  }

  /** Those that stand, always in the same order: by rank or node, then by sender. */
  lines(now: number): WrittenLine[] {
    for (const [sender, { until }] of this.senders) if (until <= now) this.senders.delete(sender);
    const order = ([a, { whose: x }]: [string, { whose: string }], [b, { whose: y }]: [string, { whose: string }]) =>
      x.localeCompare(y, undefined, { numeric: true }) || (a < b ? -1 : 1);
    return [...this.senders].sort(order).flatMap(([, { lines }]) => lines);
  }

  /** When the first of them will have been silent for too long; null without any. */
  get next(): number | null {
    return this.senders.size ? Math.min(...[...this.senders.values()].map(({ until }) => until)) : null;
  }
}
