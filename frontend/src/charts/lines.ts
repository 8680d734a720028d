/** What a chart draws, worked out of columns: pure, so that it can be proved without a canvas. */
import { lowerIndex, nearestIndex, type Columns, type NonFinite } from "../lib/columns";
import { smooth, smoothOver } from "../lib/ema";
import type { XRange } from "./group";
import type { Scale, TipOrder, Weighting } from "./look";

export interface ChartLine {
  id: string;
  label: string;
  colour: string; // a CSS colour or the name of a custom property
  columns: Columns;
  faded: Columns[];
  nonFinite: NonFinite[];
  exact: boolean;
  lead?: Columns; // what comes before, smoothed over and not drawn
  second?: boolean; // belongs to the axis on the right
  dashed?: boolean;
  runs?: number; // how many runs a line of a group stands for
}

export interface ShownLine extends ChartLine {
  shown: ArrayLike<number>; // what the line itself follows: the mean, smoothed where that is asked for
}

export const smoothed = (lines: ChartLine[], weight: number, weighting: Weighting = "points"): ShownLine[] =>
  lines.map((line) => {
    const { lead, columns: { mean, x } } = line;
    if (!(weight > 0)) return { ...line, shown: mean };
    const values = lead ? [...lead.mean, ...mean] : mean;
    const all = weighting === "points" ? smooth(values, weight) : smoothOver(values, lead ? [...lead.x, ...x] : x, weight);
    return { ...line, shown: lead ? all.slice(lead.x.length) : all };
  });

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
  hidden: number; // points that a log axis cannot show
  outside: number; // points beyond the ends of a robust axis; they are drawn there all the same
}

const FADED_SHARE = 0.6; // of the height in force, that branches left behind may add above it and below it
const TRIMMED = 0.02; // of the values at either end, by which a robust axis does not go
const AROUND = 0.5; // of the height of the others, that it shows beyond them
const FEW = 20; // values, of which none is an outlier yet

/**
 * Lowest and highest value in an x-range. `robust` goes by the central 96 % and counts what lies far beyond; nothing is removed.
 * A branch that was left behind is often an explosion: it may widen the picture, but not press the line in force flat.
 */
export function extentY(lines: ShownLine[], range: XRange, scale: Scale, robust: boolean): ExtentY | null {
  const log = scale === "log";
  let [min, max, hidden] = [Infinity, -Infinity, 0];
  const middles: number[] = [];
  const visit = (columns: Columns, shown?: ArrayLike<number>, low = -Infinity, high = Infinity) => {
    const [from, to] = within(columns, range);
    for (let i = from; i <= to; i++) {
      if (log && columns.min[i] <= 0) hidden += columns.max[i] <= 0 ? columns.count[i] : 1;
      for (let which = 0; which < 3; which++) {
        const y = which === 0 ? columns.min[i] : which === 1 ? columns.max[i] : shown ? shown[i] : NaN;
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
  if (min > max) return hidden ? { min: 0.1, max: 1, hidden, outside: 0 } : null;
  if (!robust || middles.length <= FEW) return { min, max, hidden, outside: 0 };
  const sorted = Float64Array.from(middles).sort();
  const [first, last] = [sorted[Math.floor(sorted.length * TRIMMED)], sorted[Math.ceil(sorted.length * (1 - TRIMMED)) - 1]];
  // Half as much again at either side: only what lies far out is left outside, and of tame values none.
  const [under, over] = log ? [first * (first / last) ** AROUND, last * (last / first) ** AROUND] : [first - (last - first) * AROUND, last + (last - first) * AROUND];
  min = Math.max(min, under);
  max = Math.min(max, over);
  return { min, max, hidden, outside: beyondCount(lines, range, min, max) };
}

/** The cells of an x-range, one more at each side because the line runs on to it. */
export function within(columns: Columns, range: XRange): [number, number] {
  return [Math.max(0, lowerIndex(columns.x, range[0])), Math.min(columns.x.length - 1, lowerIndex(columns.x, range[1]) + 1)];
}

function beyondCount(lines: ShownLine[], range: XRange, min: number, max: number): number {
  let count = 0;
  for (const { columns } of lines) {
    const [from, to] = within(columns, range);
    for (let i = from; i <= to; i++) {
      if (columns.min[i] > max || columns.max[i] < min) count += columns.count[i];
      else count += Number(columns.max[i] > max) + Number(columns.min[i] < min);
    }
  }
  return count;
}

function beyond(end: number, min: number, max: number, side: number, log: boolean): number {
  const way = side ? 1 : -1;
  return log ? end * apart(min, max, way * FADED_SHARE) : end + way * (max - min) * FADED_SHARE;
}

/** (max / min) to a power, without the ratio itself: of an explosion it is beyond the largest number. */
const apart = (min: number, max: number, power: number): number => Math.exp(power * (Math.log(max) - Math.log(min)));

/** An axis that ends at infinity, or is that long, has ticks without end. */
const GREATEST = 8e307;
const held = (ends: [number, number]): [number, number] => [Math.max(-GREATEST, ends[0]), Math.min(GREATEST, ends[1])];

/** The ends of the y-axis around an extent, with a little air. `whole`: a share of something, drawn from 0 to all of it. */
export function padded({ min, max }: { min: number; max: number }, scale: Scale, whole = false): [number, number] {
  const log = scale === "log";
  if (whole && !log && min >= 0 && max <= 1) return [0, 1];
  // A mean of equal values differs from them in its last digits; drawn large, that would look like movement.
  if (max - min <= 1e-12 * Math.max(Math.abs(min), Math.abs(max))) min = max;
  if (log) {
    const air = min === max ? 2 : apart(min, max, 0.05);
    return held([Math.max(Number.MIN_VALUE, min / air), max * air]);
  }
  if (min === max) {
    const air = Math.abs(min) * 0.1 || 1;
    return held([min - air, max + air]);
  }
  const air = scale === "symlog" ? 0 : (max - min) * 0.06;
  // A figure that is never negative should not seem to reach below zero.
  return held([min >= 0 && min - air < 0 ? 0 : min - air, max + (air || Math.abs(max) * 0.1)]);
}

export interface Reading {
  id: string;
  line: string; // the id of its line, which its branches left behind share
  left?: boolean; // of a branch that was left behind
  label: string;
  colour: string;
  second?: boolean;
  x: number;
  step: number;
  time: number;
  value: number; // the mean of the bucket, or a NaN or infinity where that is what was logged
  smoothed: number | null;
  low: number | null; // of the bucket, where it holds more than one point
  high: number | null;
}

/**
 * What each line says at x: its nearest point, unless that is further away than `reach`; so do the branches that it left behind,
 * with a reach of their own, which end where it goes on.
 */
export function readings(lines: ShownLine[], x: number, reach: number, smoothing: boolean, reachOfLeft = reach): Reading[] {
  const out: Reading[] = [];
  for (const line of lines) {
    const read = (columns: Columns, within: number, left?: number) => {
      const i = nearestIndex(columns.x, x);
      if (i < 0 || Math.abs(columns.x[i] - x) > within) return;
      const many = columns.min[i] !== columns.max[i] && Number.isFinite(columns.min[i]);
      out.push({
        id: left === undefined ? line.id : `${line.id} ${left}`, line: line.id, left: left !== undefined, label: line.label, colour: line.colour, second: line.second,
        x: columns.x[i], step: columns.step[i], time: columns.time[i],
        value: Number.isFinite(columns.mean[i]) ? columns.mean[i] : columns.last[i],
        smoothed: smoothing && left === undefined && Number.isFinite(line.shown[i]) ? line.shown[i] : null,
        low: many ? columns.min[i] : null, high: many ? columns.max[i] : null,
      });
    };
    read(line.columns, reach);
    line.faded.forEach((columns, number) => read(columns, reachOfLeft, number));
  }
  return out;
}

/** The same in the order in which a person wants to read them; `distance` is a line's from the pointer, in any unit. */
export function inOrder(list: Reading[], order: TipOrder, distance: (reading: Reading) => number): Reading[] {
  const by: Record<TipOrder, (a: Reading, b: Reading) => number> = {
    nearest: (a, b) => away(distance(a)) - away(distance(b)),
    value: (a, b) => away(-valueOf(a)) - away(-valueOf(b)),
    name: () => 0,
  };
  return [...list].sort((a, b) => by[order](a, b) || a.label.localeCompare(b.label, "en", { numeric: true }));
}

const valueOf = (reading: Reading): number => reading.smoothed ?? reading.value;
const away = (distance: number): number => (Number.isNaN(distance) ? Number.MAX_VALUE : Math.min(Math.max(distance, -Number.MAX_VALUE), Number.MAX_VALUE));
