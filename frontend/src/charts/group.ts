/** Charts that share their x-range and their crosshair. */
export type XRange = [min: number, max: number];

let next = 1;

export class ChartGroup {
  readonly key = `group-${next++}`;
  range: XRange | null = null; // null: everything there is
  private all: XRange | null = null; // what its charts showed when they showed everything
  private listeners = new Set<(range: XRange | null) => void>();

  listen(listener: (range: XRange | null) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Everything there is, so far as a chart of the group has seen it: while it is zoomed, its own points are those of the range. */
  whole(extent: XRange): XRange {
    if (!this.all || this.range) return this.all ? [Math.min(this.all[0], extent[0]), Math.max(this.all[1], extent[1])] : (this.all = extent);
    this.all = [Math.min(this.all[0], extent[0]), Math.max(this.all[1], extent[1])];
    return extent;
  }

  /** Another axis: what was known of the one before is no range on this one. */
  renew(): void {
    this.all = null;
    this.zoom(null);
  }

  zoom(range: XRange | null): void {
    if (range === this.range || (range && this.range && range[0] === this.range[0] && range[1] === this.range[1])) return;
    this.range = range;
    for (const listener of [...this.listeners]) listener(range);
  }
}
