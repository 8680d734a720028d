/** What is told at the crosshair: each line's reading, the marks there, and which of them is pointed at. */
import { crowdsAt } from "./crowd";
import { inOrder, readings, type Reading } from "./lines";
import type { ChartMark } from "./paint";
import type { Plot } from "./plot";

export interface Tip {
  left: number;
  top: number;
  flip: boolean;
  readings: Reading[];
  near: string; // the line nearest to the pointer
  held: string; // the same where the pointer is on it: the others step back
  marks: ChartMark[]; // all that stand here, nearest first
  dots: { left: number; top: number; colour: string }[];
}

const REACH = 0.02; // of the axis: a line with no point nearer says nothing here
const ON_A_LINE = 24; // pixels
const MOST_DOTS = 8; // lines

export function readAt(plot: Plot, left: number): Reading[] {
  const { u, lines, range, setting } = plot;
  const reach = Math.max((range[1] - range[0]) * REACH, 1e-9);
  return readings(lines, u!.posToVal(left, "x"), lines.length === 1 ? Infinity : reach, (setting?.look.smoothing ?? 0) > 0, reach);
}

export function tipAt(plot: Plot, found: Reading[], left: number, top: number): Tip {
  const u = plot.u!;
  const place = (reading: Reading) => u.valToPos(reading.smoothed ?? reading.value, reading.second ? "second" : "y");
  const away = (reading: Reading) => Math.abs(place(reading) - top);
  const nearest = inOrder(found, "nearest", away)[0];
  const { offsetLeft, offsetTop, clientWidth } = u.over;
  return {
    left: offsetLeft + left, top, flip: left > clientWidth / 2,
    readings: inOrder(found, plot.setting?.look.tip ?? "nearest", away),
    near: nearest?.id ?? "",
    held: plot.lines.length > 1 && nearest && away(nearest) < ON_A_LINE ? nearest.line : "",
    marks: crowdsAt(plot.crowds, left).flatMap(({ marks }) => marks),
    dots: plot.lines.length > MOST_DOTS ? [] : found.map((each) => ({ left: offsetLeft + u.valToPos(each.x, "x"), top: offsetTop + place(each), colour: each.colour })),
  };
}
