/** The lines that are being written now: of each sender the last ones it told of, until it tells of others or falls silent. */

type Line = [time: number, stream: string, text: string];
export interface OpenLines {
  sender: string;
  lines: Line[];
}

export const SILENT_MILLISECONDS = 30_000; // the server repeats what stands every ten seconds

export class OpenLineBook {
  private senders = new Map<string, { lines: Line[]; until: number }>();

  hear({ sender, lines }: OpenLines, now: number): void {
    if (lines.length) this.senders.set(sender, { lines, until: now + SILENT_MILLISECONDS });
    else this.senders.delete(sender);
  }

  /** All that a reading found; what was told since it began, about `told`, is newer. */
  read(found: readonly OpenLines[], told: ReadonlySet<string>, now: number): void {
    for (const sender of this.senders.keys()) if (!told.has(sender)) this.senders.delete(sender);
    for (const each of found) if (!told.has(each.sender)) this.hear(each, now);
  }

  /** Those that stand, always in the same order. */
  lines(now: number): Line[] {
    for (const [sender, { until }] of this.senders) if (until <= now) this.senders.delete(sender);
    return [...this.senders.keys()].sort().flatMap((sender) => this.senders.get(sender)!.lines);
  }

  /** When the first of them will have been silent for too long; null without any. */
  get next(): number | null {
    return this.senders.size ? Math.min(...[...this.senders.values()].map(({ until }) => until)) : null;
  }
}
