/** The line of a group of runs: their mean at each place, and a band of their deviation or from least to greatest. */
import { cut, emptyColumns, nearestIndex, type Columns } from "../lib/columns";
import type { SeriesLine } from "./series";

export const BANDS = ["deviation", "range", "none"] as const;
export type Band = (typeof BANDS)[number];

/**
 * At each x of any run (thinned to `most` places) the mean over the runs that reach so far, each by the straight line between
 * its points. `count` tells how many runs that were. Deviation is the standard deviation over the runs (n - 1).
 */
export function spread(lines: SeriesLine[], band: Band, most = 500): SeriesLine {
  const some = lines.filter((line) => line.columns.x.length);
  const xs = places(some.map((line) => line.columns.x), most);
  const n = xs.length;
  const columns: Columns = emptyColumns();
  for (const name of ["step", "time", "min", "max", "mean", "last", "count"] as const) columns[name] = new Float64Array(n).fill(name === "count" ? 0 : NaN);
  columns.x = xs;
  const squares = new Float64Array(n);
  for (const { columns: from } of some) {
    for (let i = 0, at = 0; i < n; i++) {
      const x = xs[i];
      if (x < from.x[0] || x > from.x[from.x.length - 1]) continue;
      while (at + 1 < from.x.length && from.x[at + 1] <= x) at += 1;
      const y = between(from, at, x);
      if (!Number.isFinite(y)) continue;
      // Welford: the sum of squares loses nothing where values are large and close together.
      const count = (columns.count[i] += 1);
      const delta = y - (count === 1 ? 0 : columns.mean[i]);
      columns.mean[i] = count === 1 ? y : columns.mean[i] + delta / count;
      if (count > 1) squares[i] += delta * (y - columns.mean[i]);
      columns.min[i] = count === 1 ? y : Math.min(columns.min[i], y);
      columns.max[i] = count === 1 ? y : Math.max(columns.max[i], y);
    }
  }
  const widest = some.reduce<Columns | null>((best, { columns: each }) => (each.x.length > (best?.x.length ?? 0) ? each : best), null);
  for (let i = 0; i < n; i++) {
    const near = widest ? nearestIndex(widest.x, xs[i]) : -1;
    if (near >= 0) [columns.step[i], columns.time[i]] = [widest!.step[near], widest!.time[near]];
    columns.last[i] = columns.mean[i];
    if (band === "range") continue;
    const deviation = band === "deviation" && columns.count[i] > 1 ? Math.sqrt(squares[i] / (columns.count[i] - 1)) : 0;
    [columns.min[i], columns.max[i]] = [columns.mean[i] - deviation, columns.mean[i] + deviation];
  }
  const leads = lines.flatMap(({ lead, ...line }) => (lead ? [{ ...line, columns: lead }] : []));
  const before = leads.length && n ? spread(leads, "none", most).columns : null;
  // What comes before one line may stand within another.
  const lead = before ? cut(before, 0, before.x.filter((x) => x < xs[0]).length) : undefined;
  return { columns, faded: [], nonFinite: [], exact: band === "none", lead };
}

function between(from: Columns, at: number, x: number): number {
  const next = at + 1;
  if (next >= from.x.length || from.x[at] === x) return from.mean[at];
  const share = (x - from.x[at]) / (from.x[next] - from.x[at]);
  return from.mean[at] + (from.mean[next] - from.mean[at]) * share;
}

/** Every x of any line once, rising; of more than `most`, evenly chosen ones, the ends among them. */
function places(all: Float64Array[], most: number): Float64Array {
  const joined = new Float64Array(all.reduce((sum, x) => sum + x.length, 0));
  let at = 0;
  for (const x of all) {
    joined.set(x, at);
    at += x.length;
  }
  joined.sort();
  let kept = 0;
  for (let i = 0; i < joined.length; i++) if (!kept || joined[i] !== joined[kept - 1]) joined[kept++] = joined[i];
  const once = joined.subarray(0, kept);
  return kept <= most ? once : Float64Array.from({ length: most }, (_, i) => once[Math.round((i * (kept - 1)) / (most - 1))]);
}
