/** Whether a straight axis presses most of what it shows flat, so that a logarithmic one would tell more. */
import type { ShownLine } from "./lines";
import { within } from "./lines";
import type { XRange } from "./group";

export interface Bend {
  decades: number; // powers of ten from the least positive value to the greatest
  hidden: number; // points that a logarithmic axis has no place for
}

const LEAST_DECADES = 3;
const FLAT = 0.02; // of the height: what lies below it cannot be told apart
const MOST_FLAT = 0.5; // of the values
const MOST_HIDDEN = 0.1; // of the points: a metric of both signs is not for a logarithmic axis

export function bendOf(lines: ShownLine[], range: XRange): Bend | null {
  let [low, high, bottom] = [Infinity, 0, 0];
  const visit = (each: (value: number, count: number, min: number, max: number) => void) => {
    for (const { columns } of lines) {
      const [from, to] = within(columns, range);
      for (let i = from; i <= to; i++) if (Number.isFinite(columns.mean[i])) each(columns.mean[i], columns.count[i], columns.min[i], columns.max[i]);
    }
  };
  visit((value, _, min, max) => {
    if (value > 0 && value < low) low = value;
    if (max > high) high = max;
    if (min < bottom) bottom = min;
  });
  if (!(high >= low * 10 ** LEAST_DECADES)) return null;
  let [cells, flat, points, hidden] = [0, 0, 0, 0];
  visit((value, count, min, max) => {
    cells += 1;
    points += count;
    if (value - bottom < (high - bottom) * FLAT) flat += 1;
    if (min <= 0) hidden += max <= 0 ? count : 1;
  });
  if (flat < cells * MOST_FLAT || hidden > points * MOST_HIDDEN) return null;
  return { decades: Math.round(Math.log10(high) - Math.log10(low)), hidden };
}
