/** What is drawn onto a chart: bands, lines, left branches, marks, values that are not finite. */
import type uPlot from "uplot";
import type { Columns } from "../lib/columns";
import type { XRange } from "./group";
import { within, type ShownLine } from "./lines";
import type { Scale } from "./look";
import { shareOf } from "./projection";

export interface ChartMark {
  id: string;
  kind: "command" | "decision" | "checkpoint" | "event" | "alert";
  x: number;
  label: string;
  tone: "good" | "bad" | "warn" | "accent" | "quiet";
  run?: string;
  colour?: string; // of its run's line, where several runs are drawn
}

export type Colour = (name: string) => string;

export interface Scene {
  lines: ShownLine[];
  range: XRange;
  ranges: [first: XRange, second: XRange]; // of the left axis and the right one
  smoothing: boolean;
  scale: Scale;
  threshold: number;
  near: string; // the line that is pointed at; the others step back
  colour: Colour;
}

/** Everything that the lines are made of, in pixels of the canvas. */
export function paintLines(ctx: CanvasRenderingContext2D, bbox: uPlot.BBox, scene: Scene): void {
  const pixel = devicePixelRatio;
  const share = shareOf("linear", scene.range, 1);
  const heights = scene.ranges.map((range) => shareOf(scene.scale, range, scene.threshold));
  const many = scene.lines.length;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.lineJoin = "round";
  const placed = scene.lines.map((line) => ({ line, place: placing(bbox, share, heights[line.second ? 1 : 0], scene) }));
  for (const { line, place } of placed) {
    ctx.fillStyle = ctx.strokeStyle = scene.colour(line.colour);
    // Bands of many lines cover each other: they get fainter the more there are.
    ctx.globalAlpha = (many > 1 ? Math.max(0.05, 0.16 / Math.sqrt(many)) : 0.18) * (scene.near && scene.near !== line.id ? 0.4 : 1);
    if (!line.exact || line.runs) band(ctx, place, line.columns);
    ctx.lineWidth = pixel;
    if (scene.smoothing) {
      ctx.globalAlpha = many > 6 ? 0.16 : 0.3;
      path(ctx, place, line.columns, line.columns.mean);
    }
    ctx.globalAlpha = 0.45;
    ctx.setLineDash([3 * pixel, 3 * pixel]);
    for (const faded of line.faded) path(ctx, place, faded, faded.mean);
    ctx.setLineDash([]);
  }
  for (const { line, place } of placed) {
    ctx.fillStyle = ctx.strokeStyle = scene.colour(line.colour);
    const near = scene.near === line.id;
    ctx.globalAlpha = scene.near && !near ? 0.25 : 1;
    const thin = many > 12 ? (isDense(line.columns, place) ? 1 : 1.2) : 1.6;
    ctx.lineWidth = thin * pixel * (near ? 1.5 : 1);
    if (line.dashed) ctx.setLineDash([6 * pixel, 4 * pixel]);
    path(ctx, place, line.columns, line.shown, bbox.width);
    ctx.setLineDash([]);
  }
  ctx.restore();
}

/**
 * Without a GPU a browser fills an outline by all of its edges at each row of pixels: that of a band, or of a line a little wider
 * than a pixel, of five hundred points of noise. Twenty such lines with their bands took 165 ms on one core; a band of columns
 * of whole pixels and lines of one pixel take 5, and a wider line in pieces of 32 points a fifth of what it took.
 */
const DENSE = 4; // CSS pixels: from one point to the next, below which there is no shape between them to be seen
const PIECE = 32;

function isDense(columns: Columns, { range, width }: Place): boolean {
  const [from, to] = within(columns, range);
  return width / Math.max(1, to - from) < DENSE;
}

interface Place {
  x: (value: number) => number;
  y: (value: number) => number;
  width: number; // CSS pixels
  range: XRange;
  log: boolean;
}

function placing(bbox: uPlot.BBox, share: (value: number) => number, height: (value: number) => number, { range, scale }: Scene): Place {
  return {
    x: (value) => bbox.left + bbox.width * share(value),
    y: (value) => bbox.top + bbox.height * (1 - height(value)),
    width: bbox.width / devicePixelRatio,
    range,
    log: scale === "log",
  };
}

function band(ctx: CanvasRenderingContext2D, at: Place, columns: Columns): void {
  const { x, y, range, log } = at;
  const [from, to] = within(columns, range);
  const dense = isDense(columns, at);
  const usable = (i: number) => Number.isFinite(columns.min[i]) && (!log || columns.max[i] > 0);
  for (let start = from; start <= to; start++) {
    if (!usable(start)) continue;
    let end = start;
    while (end < to && usable(end + 1)) end += 1;
    const top = (i: number) => y(columns.max[i]);
    const foot = (i: number) => y(log && columns.min[i] <= 0 ? columns.max[i] : columns.min[i]);
    if (dense) {
      let [left, high, low] = [Math.round(x(columns.x[start])), top(start), foot(start)];
      for (let i = start + 1; i <= end; i++) {
        const right = Math.round(x(columns.x[i]));
        if (right > left) {
          ctx.fillRect(left, high, right - left, low - high);
          [left, high, low] = [right, top(i), foot(i)];
        } else [high, low] = [Math.min(high, top(i)), Math.max(low, foot(i))];
      }
      ctx.fillRect(left, high, 1, low - high);
    } else {
      ctx.beginPath();
      for (let i = start; i <= end; i++) ctx.lineTo(x(columns.x[i]), top(i));
      for (let i = end; i >= start; i--) ctx.lineTo(x(columns.x[i]), foot(i));
      ctx.fill();
    }
    start = end;
  }
}

const APART = 24; // CSS pixels: from there on points are seen as such

/** A line through the values; `width`, where it is given, tells whether its points stand far enough apart to be dots. */
function path(ctx: CanvasRenderingContext2D, at: Place, columns: Columns, values: ArrayLike<number>, width = 0): void {
  const { x, y, range, log } = at;
  const [from, to] = within(columns, range);
  const inPieces = ctx.lineWidth > 1 && ctx.globalAlpha === 1 && !ctx.getLineDash().length && isDense(columns, at);
  const drawable = (i: number) => i >= from && i <= to && Number.isFinite(values[i]) && (!log || values[i] > 0);
  const dots = width / devicePixelRatio / Math.max(1, to - from) > APART;
  ctx.beginPath();
  let before = false;
  for (let i = from; i <= to; i++) {
    const now = drawable(i);
    if (now) {
      const [left, top] = [x(columns.x[i]), y(values[i])];
      if (before) ctx.lineTo(left, top);
      else ctx.moveTo(left, top);
      if (inPieces && i % PIECE === 0) {
        ctx.stroke();
        ctx.beginPath();
        ctx.moveTo(left, top);
      }
      if (dots || (!before && !drawable(i + 1))) dot(ctx, left, top); // a point alone has no line to be seen by
    }
    before = now;
  }
  ctx.stroke();
}

function dot(ctx: CanvasRenderingContext2D, x: number, y: number): void {
  const r = 2 * devicePixelRatio;
  ctx.fillRect(x - r, y - r, 2 * r, 2 * r);
}

/** Over the lines: marks, and a triangle at the top where a value was not finite. */
export function paintOver(ctx: CanvasRenderingContext2D, bbox: uPlot.BBox, scene: Scene, marks: ChartMark[], hovered: string): void {
  const unit = devicePixelRatio;
  const share = shareOf("linear", scene.range, 1);
  const place = (value: number) => bbox.left + bbox.width * share(value);
  const inView = ({ x }: { x: number }) => x >= scene.range[0] && x <= scene.range[1];
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left - 4 * unit, bbox.top - 6 * unit, bbox.width + 8 * unit, bbox.height + 12 * unit);
  ctx.clip();
  for (const mark of marks) {
    if (!inView(mark)) continue;
    ctx.strokeStyle = ctx.fillStyle = scene.colour(mark.colour ?? TONES[mark.tone]);
    const strong = mark.id === hovered;
    ctx.globalAlpha = strong ? 1 : 0.75;
    ctx.lineWidth = (strong ? 2 : 1) * unit;
    markShape(ctx, mark, Math.round(place(mark.x)), bbox, unit, strong);
  }
  ctx.globalAlpha = 1;
  ctx.fillStyle = scene.colour("--bad");
  for (const line of scene.lines) {
    for (const bad of line.nonFinite) {
      if (!inView(bad)) continue;
      const x = place(bad.x);
      const y = bad.kind === "-Infinity" ? bbox.top + bbox.height : bbox.top;
      const way = bad.kind === "-Infinity" ? -1 : 1;
      ctx.beginPath();
      ctx.moveTo(x - 4 * unit, y);
      ctx.lineTo(x + 4 * unit, y);
      ctx.lineTo(x, y + 7 * unit * way);
      ctx.fill();
    }
  }
  ctx.restore();
}

export const TONES: Record<ChartMark["tone"], string> = {
  good: "--good", bad: "--bad", warn: "--warn", accent: "--accent-text", quiet: "--text-3",
};

function markShape(ctx: CanvasRenderingContext2D, mark: ChartMark, x: number, bbox: uPlot.BBox, unit: number, strong: boolean): void {
  const bottom = bbox.top + bbox.height;
  if (mark.kind === "checkpoint") {
    // Checkpoints are many: a short tick on the axis, not a line through the picture.
    ctx.fillRect(x - unit, bottom - 7 * unit, 2 * unit, 7 * unit);
    return;
  }
  ctx.setLineDash(mark.kind === "decision" ? [] : mark.kind === "command" ? [4 * unit, 3 * unit] : [unit, 3 * unit]);
  ctx.beginPath();
  // Lines of many runs' marks would hide the picture: theirs are short until one is pointed at.
  ctx.moveTo(x + 0.5, mark.run && !strong ? bottom - 14 * unit : bbox.top);
  ctx.lineTo(x + 0.5, bottom);
  ctx.stroke();
  ctx.setLineDash([]);
  const r = 3.5 * unit;
  const y = bottom - r;
  ctx.beginPath();
  if (mark.kind === "decision") for (const [dx, dy] of [[0, -r], [r, 0], [0, r], [-r, 0]]) ctx.lineTo(x + dx, y + dy);
  else if (mark.kind === "command") ctx.arc(x, y, r * 0.9, 0, 7);
  else ctx.rect(x - r * 0.7, y - r * 0.7, r * 1.4, r * 1.4);
  ctx.fill();
}

/** The marks within `reach` pixels of a point, nearest first. `left` is in CSS pixels from the plot's left edge. */
export function marksAt(u: uPlot, marks: ChartMark[], left: number, reach = 5): ChartMark[] {
  return marks
    .map((mark) => ({ mark, distance: Math.abs(u.valToPos(mark.x, "x") - left) }))
    .filter(({ distance }) => distance <= reach)
    .sort((a, b) => a.distance - b.distance)
    .map(({ mark }) => mark);
}
