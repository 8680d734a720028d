/** Charts that share their x-range and their crosshair. */
export type XRange = [min: number, max: number];

let next = 1;

export class ChartGroup {
  readonly key = `group-${next++}`;
  range: XRange | null = null; // null: everything there is
  private listeners = new Set<(range: XRange | null) => void>();

  listen(listener: (range: XRange | null) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  zoom(range: XRange | null): void {
    if (range === this.range || (range && this.range && range[0] === this.range[0] && range[1] === this.range[1])) return;
    this.range = range;
    for (const listener of [...this.listeners]) listener(range);
  }
}
