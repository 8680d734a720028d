/** What is drawn onto a chart: bands, lines, left branches, marks, values that are not finite. */
import type uPlot from "uplot";
import type { Columns } from "../lib/columns";
import type { Crowd } from "./crowd";
import type { XRange } from "./group";
import { within, type ShownLine } from "./lines";
import type { Scale } from "./look";
import { MARKS_HIGH } from "./options";
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

/** Under the lines of the runs: what marks draw through the picture, so that they hide nothing. */
export function paintUnder(ctx: CanvasRenderingContext2D, bbox: uPlot.BBox, scene: Scene, crowds: Crowd[], hovered: string): void {
  const unit = devicePixelRatio;
  const bottom = bbox.top + bbox.height;
  ctx.save();
  for (const crowd of crowds) {
    const { kind } = crowd.marks[0];
    if (kind === "checkpoint") continue;
    const strong = isHovered(crowd, hovered);
    const x = bbox.left + Math.round(crowd.at * unit);
    ctx.strokeStyle = scene.colour(crowd.colour ?? TONES[crowd.tone]);
    ctx.globalAlpha = strong ? 1 : 0.75;
    ctx.lineWidth = (strong ? 2 : 1) * unit;
    ctx.setLineDash(crowd.marks.length > 1 || kind === "decision" ? [] : kind === "command" ? [4 * unit, 3 * unit] : [unit, 3 * unit]);
    ctx.beginPath();
    ctx.moveTo(x + 0.5, crowd.tall || strong ? bbox.top : bottom - SHORT * unit);
    ctx.lineTo(x + 0.5, bottom);
    ctx.stroke();
  }
  ctx.restore();
}

const SHORT = 6; // CSS pixels of a mark's line where it does not go through the picture

/** What stands for marks below the plot, and over the lines a triangle at the top where a value was not finite. */
export function paintOver(ctx: CanvasRenderingContext2D, bbox: uPlot.BBox, scene: Scene, crowds: Crowd[], hovered: string): void {
  const unit = devicePixelRatio;
  const share = shareOf("linear", scene.range, 1);
  const place = (value: number) => bbox.left + bbox.width * share(value);
  const inView = ({ x }: { x: number }) => x >= scene.range[0] && x <= scene.range[1];
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left - 8 * unit, bbox.top - 6 * unit, bbox.width + 16 * unit, bbox.height + (6 + MARKS_HIGH) * unit);
  ctx.clip();
  for (const crowd of crowds) {
    ctx.fillStyle = scene.colour(crowd.colour ?? TONES[crowd.tone]);
    ctx.globalAlpha = isHovered(crowd, hovered) ? 1 : crowd.marks[0].kind === "checkpoint" ? 0.5 : crowd.marks.length > 1 ? 1 : 0.75;
    const x = bbox.left + Math.round(crowd.at * unit);
    if (crowd.marks.length > 1 && crowd.marks[0].kind !== "checkpoint") countShape(ctx, crowd.marks.length, x, bbox, unit, scene.colour("--surface"));
    else markShape(ctx, crowd.marks[0], x, bbox, unit);
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

const isHovered = ({ marks }: Crowd, hovered: string): boolean => hovered !== "" && marks.some((mark) => mark.id === hovered);

export const TONES: Record<ChartMark["tone"], string> = {
  good: "--good", bad: "--bad", warn: "--warn", accent: "--accent-text", quiet: "--text-3",
};

function markShape(ctx: CanvasRenderingContext2D, mark: ChartMark, x: number, bbox: uPlot.BBox, unit: number): void {
  const bottom = bbox.top + bbox.height;
  if (mark.kind === "checkpoint") {
    // Checkpoints are many: a short tick, not a line through the picture.
    ctx.fillRect(x - unit, bottom + 3 * unit, 2 * unit, 6 * unit);
    return;
  }
  const r = 3.5 * unit;
  const y = bottom + 6 * unit;
  ctx.beginPath();
  if (mark.kind === "decision") for (const [dx, dy] of [[0, -r], [r, 0], [0, r], [-r, 0]]) ctx.lineTo(x + dx, y + dy);
  else if (mark.kind === "command") ctx.arc(x, y, r * 0.9, 0, 7);
  else ctx.rect(x - r * 0.7, y - r * 0.7, r * 1.4, r * 1.4);
  ctx.fill();
}

/** How many marks share a place. */
function countShape(ctx: CanvasRenderingContext2D, count: number, x: number, bbox: uPlot.BBox, unit: number, ground: string): void {
  const words = count > 99 ? "99+" : String(count);
  const [width, height] = [(5 + 5.5 * words.length) * unit, 12 * unit];
  const top = bbox.top + bbox.height;
  ctx.beginPath();
  ctx.roundRect(x - width / 2, top, width, height, 3 * unit);
  ctx.fill();
  ctx.fillStyle = ground;
  ctx.font = `600 ${9 * unit}px ui-sans-serif, system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.fillText(words, x, top + height / 2 + 0.5 * unit);
}
