/**
 * Columns of buckets, as the store sends them and as live points extend them.
 *
 * A bucket is `2^k` steps wide and starts at a multiple of its width, so a point has one bucket whoever computes it,
 * and an append never moves an old one. "Nothing finite here" is NaN in min, max and mean.
 */
export const NAMES = ["x", "step", "time", "min", "max", "mean", "last", "count"] as const;

/** Views of the answer's own bytes as it came; `append` moves them into memory of their own. */
export type Columns = Record<(typeof NAMES)[number], Float64Array>;

export interface NonFinite {
  step: number;
  x: number;
  kind: "NaN" | "Infinity" | "-Infinity";
}

export interface Part {
  branch: number;
  faded: boolean;
  bucket: number;
  exact: boolean;
  columns: Columns;
  nonFinite: NonFinite[];
  axis?: string; // what its x is, where that may differ from what was asked for
  spare?: number; // rows of room behind the columns; undefined while they are views of an answer, not to be written into
}

export type XAxis = "step" | "relative" | "time" | (string & {});

const NONE = new Float64Array(0);
export const emptyColumns = (): Columns => ({ x: NONE, step: NONE, time: NONE, min: NONE, max: NONE, mean: NONE, last: NONE, count: NONE });

/** A cell as JSON carries it (live frames, summaries): null is "none", and non-finite values travel as strings. */
export function cell(value: unknown): number {
  if (typeof value === "number") return value;
  if (value === "Infinity") return Infinity;
  if (value === "-Infinity") return -Infinity;
  return NaN;
}

export const nonFiniteKind = (value: number): NonFinite["kind"] =>
  Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";

/** The index of the last entry that is <= value, or -1. `sorted` must not fall. */
export function lowerIndex(sorted: ArrayLike<number>, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The index of the entry nearest to value, or -1 where there is none. */
export function nearestIndex(sorted: ArrayLike<number>, value: number): number {
  const left = lowerIndex(sorted, value);
  if (left < 0) return sorted.length ? 0 : -1;
  if (left + 1 >= sorted.length) return left;
  return value - sorted[left] <= sorted[left + 1] - value ? left : left + 1;
}

/** Adds one live point to its bucket, opening the bucket where needed. Steps may come in any order. */
export function append(part: Part, step: number, time: number, x: number, value: number): void {
  own(part, 0);
  const { columns, bucket } = part;
  const start = Math.floor(step / bucket);
  let at = columns.step.length - 1;
  if (at >= 0 && Math.floor(columns.step[at] / bucket) > start) at = bucketIndex(columns.step, bucket, start);
  const finite = Number.isFinite(value);
  const kind = nonFiniteKind(value);
  const marked = part.nonFinite.at(-1);
  if (!finite && !(marked?.kind === kind && Math.floor(marked.step / bucket) === start)) part.nonFinite.push({ step, x, kind });
  if (at >= 0 && Math.floor(columns.step[at] / bucket) === start) {
    if (finite) {
      columns.min[at] = Number.isNaN(columns.min[at]) ? value : Math.min(columns.min[at], value);
      columns.max[at] = Number.isNaN(columns.max[at]) ? value : Math.max(columns.max[at], value);
      // The count includes non-finite points, which is close enough for a mean that the next read replaces.
      columns.mean[at] = Number.isNaN(columns.mean[at])
        ? value
        : columns.mean[at] + (value - columns.mean[at]) / (columns.count[at] + 1);
    }
    columns.last[at] = value;
    columns.count[at] += 1;
    if (columns.count[at] > 1 && bucket > 1) part.exact = false;
    return;
  }
  const y = finite ? value : NaN;
  insert(part, at + 1, [x, step, time, y, y, y, value, 1]);
}

/** The columns in memory of the part's own, with room for so many more rows: live points come one by one. */
function own(part: Part, more: number): void {
  if (part.spare !== undefined && part.spare >= more) return;
  const { length } = part.columns.step;
  const capacity = Math.max(64, Math.ceil(length * 1.5), length + more);
  for (const name of NAMES) {
    const column = new Float64Array(capacity);
    column.set(part.columns[name]);
    part.columns[name] = column.subarray(0, length);
  }
  part.spare = capacity - length;
}

/** `row` has the order of NAMES. */
function insert(part: Part, at: number, row: number[]): void {
  own(part, 1);
  NAMES.forEach((name, i) => {
    const { buffer, length } = part.columns[name];
    const column = new Float64Array(buffer, 0, length + 1);
    if (at < length) column.copyWithin(at + 1, at, length);
    column[at] = row[i];
    part.columns[name] = column;
  });
  part.spare! -= 1;
}

function bucketIndex(steps: Float64Array, bucket: number, start: number): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Math.floor(steps[middle] / bucket) <= start) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Doubles the bucket width, joining neighbours, until at most `most` buckets are left. */
export function coarsen(part: Part, most: number): void {
  while (part.columns.x.length > most) {
    const from = part.columns;
    const rows = from.x.length;
    const to = emptyColumns();
    for (const name of NAMES) to[name] = new Float64Array(rows);
    part.bucket *= 2;
    part.exact = false;
    let end = -1;
    for (let i = 0; i < rows; i++) {
      if (end >= 0 && Math.floor(to.step[end] / part.bucket) === Math.floor(from.step[i] / part.bucket)) join(to, end, from, i);
      else {
        end += 1;
        for (const name of NAMES) to[name][end] = from[name][i];
      }
    }
    for (const name of NAMES) to[name] = to[name].subarray(0, end + 1);
    part.columns = to;
    part.spare = rows - end - 1;
    thin(part);
  }
}

/** One mark a bucket and kind: a run that logs NaN for hours would grow without end. */
function thin(part: Part): void {
  const seen = new Set<string>();
  part.nonFinite = part.nonFinite.filter(({ step, kind }) => {
    const name = `${Math.floor(step / part.bucket)} ${kind}`;
    return !seen.has(name) && !!seen.add(name);
  });
}

function join(to: Columns, end: number, from: Columns, i: number): void {
  if (!Number.isNaN(from.mean[i])) {
    if (Number.isNaN(to.mean[end])) {
      to.min[end] = from.min[i];
      to.max[end] = from.max[i];
      to.mean[end] = from.mean[i];
    } else {
      const total = to.count[end] + from.count[i];
      to.min[end] = Math.min(to.min[end], from.min[i]);
      to.max[end] = Math.max(to.max[end], from.max[i]);
      to.mean[end] += ((from.mean[i] - to.mean[end]) * from.count[i]) / total;
    }
  }
  to.last[end] = from.last[i];
  to.count[end] += from.count[i];
}

/** Rows from `start` up to `end`, which is not among them. */
export function cut(columns: Columns, start: number, end: number): Columns {
  const out = emptyColumns();
  for (const name of NAMES) out[name] = columns[name].slice(start, end);
  return out;
}

/** The parts of one series that are in force, one after another: what a line on a chart is. */
export function concatenate(parts: Part[]): Columns {
  if (parts.length === 1) return parts[0].columns;
  const out = emptyColumns();
  const inOrder = [...parts].sort((a, b) => a.branch - b.branch);
  const rows = inOrder.reduce((sum, part) => sum + part.columns.x.length, 0);
  for (const name of NAMES) {
    out[name] = new Float64Array(rows);
    let at = 0;
    for (const { columns } of inOrder) {
      out[name].set(columns[name], at);
      at += columns[name].length;
    }
  }
  return out;
}

/** The same columns with x rising, as a chart needs them: along another metric, steps come in any order of x. */
export function ordered(columns: Columns): Columns {
  const { x } = columns;
  let rising = true;
  for (let i = 1; i < x.length && rising; i++) rising = x[i] >= x[i - 1];
  if (rising) return columns;
  const order = Uint32Array.from(x.keys()).sort((a, b) => x[a] - x[b] || a - b);
  const out = emptyColumns();
  for (const name of NAMES) {
    const from = columns[name];
    out[name] = Float64Array.from(order, (i) => from[i]);
  }
  return out;
}
