/** What a chart draws, worked out of columns: pure, so that it can be proved without a canvas. */
import { lowerIndex, nearestIndex, type Columns, type NonFinite } from "../lib/columns";
import { smooth } from "../lib/ema";
import type { XRange } from "./group";

export interface ChartLine {
  id: string;
  label: string;
  colour: string; // a CSS colour or the name of a custom property
  columns: Columns;
  faded: Columns[];
  nonFinite: NonFinite[];
  exact: boolean;
}

export interface ShownLine extends ChartLine {
  shown: ArrayLike<number>; // what the line itself follows: the mean, smoothed where that is asked for
}

export const smoothed = (lines: ChartLine[], weight: number): ShownLine[] =>
  lines.map((line) => ({ ...line, shown: weight > 0 ? smooth(line.columns.mean, weight) : line.columns.mean }));

type Cell = number | null | undefined;
type Cells = Cell[] | Float64Array;

/**
 * One x for all lines and each line's values on it, as uPlot wants them: undefined where another line has a point and
 * this one none (drawn through), null where this line has a gap.
 */
export function align(lines: ShownLine[], log: boolean): [Float64Array, ...Cells[]] {
  const keep = (y: number): Cell => (Number.isFinite(y) && (!log || y > 0) ? y : null);
  if (!lines.length) return [new Float64Array(0)];
  const xs = commonX(lines.map((line) => line.columns.x));
  const columns = lines.map((line) => {
    const { x } = line.columns;
    if (same(x, xs)) return Array.from(line.shown, keep);
    const out = new Array<Cell>(xs.length).fill(undefined);
    let at = 0;
    for (let i = 0; i < xs.length && at < x.length; i++) {
      if (xs[i] !== x[at]) continue;
      while (at < x.length && x[at] === xs[i]) out[i] = keep(line.shown[at++]);
    }
    return out;
  });
  return [xs, ...columns];
}

/** Every x of any line once, rising. Runs of an experiment mostly share their steps: then it is the first line's own. */
function commonX(all: Float64Array[]): Float64Array {
  const [first] = all;
  if (all.length === 1 || all.every((x) => same(x, first))) return first;
  const joined = new Float64Array(all.reduce((sum, x) => sum + x.length, 0));
  let at = 0;
  for (const x of all) {
    joined.set(x, at);
    at += x.length;
  }
  joined.sort();
  let kept = 0;
  for (let i = 0; i < joined.length; i++) if (!i || joined[i] !== joined[kept - 1]) joined[kept++] = joined[i];
  return joined.subarray(0, kept);
}

function same(a: Float64Array, b: Float64Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** First and last x of everything drawn, faded branches included; null where there is nothing. */
export function extentX(lines: ChartLine[]): XRange | null {
  let min = Infinity;
  let max = -Infinity;
  for (const line of lines) {
    for (const { x } of [line.columns, ...line.faded]) {
      if (!x.length) continue;
      min = Math.min(min, x[0]);
      max = Math.max(max, x[x.length - 1]);
    }
    for (const mark of line.nonFinite) {
      min = Math.min(min, mark.x);
      max = Math.max(max, mark.x);
    }
  }
  return min <= max ? [min, max] : null;
}

export interface ExtentY {
  min: number;
  max: number;
  hidden: number; // cells that a log axis cannot show
}

const FADED_SHARE = 0.6; // of the height in force, that branches left behind may add above it and below it

/**
 * Lowest and highest value in an x-range. `robust` leaves out what lies beyond the central 96 %; nothing is removed.
 * A branch that was left behind is often an explosion: it may widen the picture, but not press the line in force flat.
 */
export function extentY(lines: ShownLine[], range: XRange, log: boolean, robust: boolean): ExtentY | null {
  let [min, max, hidden] = [Infinity, -Infinity, 0];
  const middles: number[] = [];
  const visit = (columns: Columns, shown?: ArrayLike<number>, low = -Infinity, high = Infinity) => {
    // One cell beyond each side, because the line runs on to it.
    const from = Math.max(0, lowerIndex(columns.x, range[0]));
    const to = Math.min(columns.x.length - 1, lowerIndex(columns.x, range[1]) + 1);
    for (let i = from; i <= to; i++) {
      if (log && columns.min[i] <= 0) hidden += 1;
      for (const y of [columns.min[i], columns.max[i], shown ? shown[i] : NaN]) {
        if (!Number.isFinite(y) || (log && y <= 0)) continue;
        if (y < min) min = Math.max(y, low);
        if (y > max) max = Math.min(y, high);
        if (robust) middles.push(y);
      }
    }
  };
  for (const line of lines) visit(line.columns, line.shown);
  const [low, high] = min < max ? [min, max].map((end, i) => beyond(end, min, max, i, log)) : [-Infinity, Infinity];
  for (const line of lines) for (const faded of line.faded) visit(faded, undefined, low, high);
  if (min > max) return hidden ? { min: 0.1, max: 1, hidden } : null;
  if (robust && middles.length > 20) {
    middles.sort((a, b) => a - b);
    min = middles[Math.floor(middles.length * 0.02)];
    max = middles[Math.ceil(middles.length * 0.98) - 1];
  }
  return { min, max, hidden };
}

function beyond(end: number, min: number, max: number, side: number, log: boolean): number {
  const way = side ? 1 : -1;
  return log ? end * (max / min) ** (way * FADED_SHARE) : end + way * (max - min) * FADED_SHARE;
}

/** The ends of the y-axis around an extent, with a little air. `whole`: a share of something, drawn from 0 to all of it. */
export function padded({ min, max }: { min: number; max: number }, log: boolean, whole = false): [number, number] {
  if (whole && !log && min >= 0 && max <= 1) return [0, 1];
  // A mean of equal values differs from them in its last digits; drawn large, that would look like movement.
  if (max - min <= 1e-12 * Math.max(Math.abs(min), Math.abs(max))) min = max;
  if (log) return min === max ? [min / 2, max * 2] : [min / (max / min) ** 0.05, max * (max / min) ** 0.05];
  if (min === max) {
    const air = Math.abs(min) * 0.1 || 1;
    return [min - air, max + air];
  }
  const air = (max - min) * 0.06;
  // A figure that is never negative should not seem to reach below zero.
  return [min >= 0 && min - air < 0 ? 0 : min - air, max + air];
}

export interface Reading {
  id: string;
  label: string;
  colour: string;
  x: number;
  step: number;
  time: number;
  value: number; // the mean of the bucket, or a NaN or infinity where that is what was logged
  smoothed: number | null;
  low: number | null; // of the bucket, where it holds more than one point
  high: number | null;
}

/** What each line says at x: its nearest point, unless that is further away than `reach`. */
export function readings(lines: ShownLine[], x: number, reach: number, smoothing: boolean): Reading[] {
  const out: Reading[] = [];
  for (const line of lines) {
    const { columns } = line;
    const i = nearestIndex(columns.x, x);
    if (i < 0 || Math.abs(columns.x[i] - x) > reach) continue;
    const many = columns.min[i] !== columns.max[i] && Number.isFinite(columns.min[i]);
    out.push({
      id: line.id, label: line.label, colour: line.colour, x: columns.x[i], step: columns.step[i], time: columns.time[i],
      value: Number.isFinite(columns.mean[i]) ? columns.mean[i] : columns.last[i],
      smoothed: smoothing && Number.isFinite(line.shown[i]) ? line.shown[i] : null,
      low: many ? columns.min[i] : null, high: many ? columns.max[i] : null,
    });
  }
  return out;
}

/** The same, nearest to the value under the pointer first. */
export const byNearness = (list: Reading[], y: number): Reading[] =>
  [...list].sort((a, b) => gap(a, y) - gap(b, y) || a.label.localeCompare(b.label));

function gap(reading: Reading, y: number): number {
  const value = reading.smoothed ?? reading.value;
  return Number.isFinite(value) ? Math.abs(value - y) : Infinity;
}
