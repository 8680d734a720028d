/** What of a run's media is shown: by step, along the branches that its present state grew from. */
import type { Branch, Histogram, Media } from "../api/types";

/** Without what a roll back or resumption left behind. */
export function current<T extends { step: number; branch: number }>(rows: T[], branches: Branch[]): T[] {
  return rows.filter((row) => !branches.some((branch) => branch.index > row.branch && branch.from_step < row.step));
}

export const stepsOf = (rows: { step: number }[]): number[] => [...new Set(rows.map((row) => row.step))].sort((a, b) => a - b);

/** The step to show: the last that is not after the wanted one, the newest for null; null where there is none. */
export function shownStep(steps: number[], wanted: number | null): number | null {
  if (!steps.length) return null;
  if (wanted === null) return steps[steps.length - 1];
  let low = 0;
  for (let high = steps.length - 1; low < high; ) {
    const middle = Math.ceil((low + high) / 2);
    if (steps[middle] <= wanted) low = middle;
    else high = middle - 1;
  }
  return steps[low];
}

/** The items of a step in their order; of what was logged twice under a place, the newer. */
export function itemsAt(rows: Media[], step: number | null): Media[] {
  const places = new Map<number, Media>();
  for (const row of rows) if (row.step === step && (places.get(row.place)?.id ?? -1) < row.id) places.set(row.place, row);
  return [...places.values()].sort((a, b) => a.place - b.place);
}

export interface Heat {
  low: number;
  high: number;
  bins: number;
  steps: number[];
  cells: Float32Array; // column by column from the lowest bin up, 0..1
}

/** Histograms side by side over one range of values; a column's cells sum up to what was counted, then to its share. */
export function heatOf(histograms: Histogram[], bins = 64): Heat | null {
  const list = histograms.filter((each) => each.counts.length);
  if (!list.length) return null;
  const low = Math.min(...list.map((each) => each.edges[0]));
  const high = Math.max(...list.map((each) => each.edges[each.edges.length - 1]));
  const width = (high - low) / bins || 1;
  const cells = new Float32Array(list.length * bins);
  let most = 0;
  list.forEach(({ edges, counts }, column) => {
    const total = counts.reduce((sum, count) => sum + count, 0) || 1;
    for (let i = 0; i < counts.length; i++) {
      // A bin is spread evenly over those of the common range that it covers.
      const from = (edges[i] - low) / width;
      const to = (edges[i + 1] - low) / width;
      for (let bin = Math.max(0, Math.floor(from)); bin < Math.min(bins, Math.ceil(to)); bin++) {
        const share = Math.min(to, bin + 1) - Math.max(from, bin);
        if (share > 0) cells[column * bins + bin] += ((counts[i] / total) * share) / (to - from);
      }
    }
  });
  for (const cell of cells) most = Math.max(most, cell);
  if (most) for (let i = 0; i < cells.length; i++) cells[i] /= most;
  return { low, high, bins, steps: list.map((each) => each.step), cells };
}

/** The value below which a share of what was counted lies. */
export function quantile({ edges, counts }: Pick<Histogram, "edges" | "counts">, share: number): number {
  const wanted = counts.reduce((sum, count) => sum + count, 0) * share;
  let sum = 0;
  for (let i = 0; i < counts.length; i++) {
    if (sum + counts[i] >= wanted && counts[i] > 0) return edges[i] + ((wanted - sum) / counts[i]) * (edges[i + 1] - edges[i]);
    sum += counts[i];
  }
  return edges[edges.length - 1];
}

export type Cell = string | number | boolean | null;
export interface Table {
  columns: string[];
  rows: Cell[][];
}

/** A table as it was sent; null where the file is none. */
export function readTable(value: unknown): Table | null {
  const { columns, rows } = (value ?? {}) as Partial<Table>;
  if (!Array.isArray(columns) || !Array.isArray(rows) || !rows.every(Array.isArray)) return null;
  return { columns: columns.map(String), rows };
}

/** Rows in the order of a column: numbers by size before words, empty cells last. */
export function sorted(rows: Cell[][], column: number, down: boolean): Cell[][] {
  const rank = (cell: Cell) => (typeof cell === "number" ? 0 : cell === null || cell === undefined || cell === "" ? 2 : 1);
  return rows.slice().sort((one, other) => {
    const [a, b] = [one[column], other[column]];
    if (rank(a) !== rank(b)) return rank(a) - rank(b);
    const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
    return down ? -order : order;
  });
}
