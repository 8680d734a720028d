/** A chart by keyboard: what each key does, and where the crosshair goes. */
import { nearestIndex } from "../lib/columns";
import { zoomAbout, type Range } from "../lib/zoom";
import type { ChartLine } from "./lines";

export type Stroke = { go: number } | { zoom: Range | null } | { open: true } | { leave: true } | null;

export interface Place {
  lines: ChartLine[];
  range: Range; // what is shown
  all: Range;
  at: number | null; // the crosshair's x, null where there is none
}

export function stroke(key: string, shift: boolean, { lines, range, all, at }: Place): Stroke {
  const middle = at ?? (range[0] + range[1]) / 2;
  switch (key) {
    case "ArrowRight": return moved(lines, range, at, shift ? 10 : 1);
    case "ArrowLeft": return moved(lines, range, at, shift ? -10 : -1);
    case "Home": return { go: range[0] };
    case "End": return { go: range[1] };
    case "+": case "=": return { zoom: zoomAbout(range, all, middle, 0.5) };
    case "-": return { zoom: zoomAbout(range, all, middle, 2) };
    case "0": return { zoom: null };
    case "Enter": return at === null ? null : { open: true };
    case "Escape": return at === null ? null : { leave: true };
    default: return null;
  }
}

/** So many points along the longest line, within what is shown. */
function moved(lines: ChartLine[], range: Range, at: number | null, by: number): Stroke {
  const longest = lines.reduce<ChartLine | null>((best, line) => (line.columns.x.length > (best?.columns.x.length ?? 0) ? line : best), null);
  if (!longest) return null;
  const { x } = longest.columns;
  if (at === null) return { go: x[Math.max(0, nearestIndex(x, by > 0 ? range[0] : range[1]))] };
  const next = x[Math.min(x.length - 1, Math.max(0, nearestIndex(x, at) + by))];
  return { go: Math.min(range[1], Math.max(range[0], next)) };
}
