/** Charts that share their x-range and their crosshair. */
export type XRange = [min: number, max: number];

let next = 1;

const GROWN = 0.01; // of the axis: from there on a chart that stands still shows that another one has gone on

export class ChartGroup {
  readonly key = `group-${next++}`;
  range: XRange | null = null; // null: everything there is
  private all: XRange | null = null; // what its charts showed when they showed everything
  private told: XRange | null = null;
  private listeners = new Set<(range: XRange | null) => void>();

  /** `together`: each chart shows everything that there is in any of them, so that what was at a time stands one below the other. */
  constructor(readonly together = false) {}

  listen(listener: (range: XRange | null) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Everything there is, so far as a chart of the group has seen it: while it is zoomed, its own points are those of the range. */
  whole(extent: XRange): XRange {
    const before = this.all;
    const all: XRange = before ? [Math.min(before[0], extent[0]), Math.max(before[1], extent[1])] : extent;
    if (this.range) return all; // of which it is not known whether it is everything
    this.all = all;
    if (!this.together) return extent;
    const told = (this.told ??= before ?? all);
    if (told[0] - all[0] + all[1] - told[1] > GROWN * (told[1] - told[0])) {
      this.told = all;
      for (const listener of [...this.listeners]) listener(null);
    }
    return all;
  }

  /** Another axis: what was known of the one before is no range on this one. */
  renew(): void {
    this.all = this.told = null;
    this.zoom(null);
  }

  zoom(range: XRange | null): void {
    if (range === this.range || (range && this.range && range[0] === this.range[0] && range[1] === this.range[1])) return;
    this.range = range;
    for (const listener of [...this.listeners]) listener(range);
  }
}
