/** What is drawn around the lines: bands, raw values, left branches, marks, values that are not finite. */
import type uPlot from "uplot";
import { lowerIndex, type Columns } from "../lib/columns";
import type { XRange } from "./group";
import type { ShownLine } from "./lines";

export interface ChartMark {
  id: string;
  kind: "command" | "decision" | "checkpoint" | "event";
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
  smoothing: boolean;
  log: boolean;
  colour: Colour;
}

/** Under the lines. */
export function paintUnder(u: uPlot, scene: Scene): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  // Bands of many lines cover each other: they get fainter the more there are.
  const bandAlpha = scene.lines.length > 1 ? Math.max(0.05, 0.16 / Math.sqrt(scene.lines.length)) : 0.18;
  for (const line of scene.lines) {
    const colour = scene.colour(line.colour);
    ctx.fillStyle = ctx.strokeStyle = colour;
    ctx.lineWidth = devicePixelRatio;
    if (!line.exact) band(u, scene, line.columns, bandAlpha);
    if (scene.smoothing) {
      ctx.globalAlpha = scene.lines.length > 6 ? 0.16 : 0.3;
      path(u, scene, line.columns);
    }
    ctx.globalAlpha = 0.45;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    for (const faded of line.faded) path(u, scene, faded);
    ctx.setLineDash([]);
    ctx.globalAlpha = 1;
  }
  ctx.restore();
}

function window_(columns: Columns, range: XRange): [number, number] {
  return [Math.max(0, lowerIndex(columns.x, range[0])), Math.min(columns.x.length - 1, lowerIndex(columns.x, range[1]) + 1)];
}

function band(u: uPlot, { range, log }: Scene, columns: Columns, alpha: number): void {
  const { ctx } = u;
  const [from, to] = window_(columns, range);
  const usable = (i: number) => Number.isFinite(columns.min[i]) && (!log || columns.max[i] > 0);
  ctx.globalAlpha = alpha;
  for (let start = from; start <= to; start++) {
    if (!usable(start)) continue;
    let end = start;
    while (end < to && usable(end + 1)) end += 1;
    ctx.beginPath();
    for (let i = start; i <= end; i++) ctx.lineTo(u.valToPos(columns.x[i], "x", true), u.valToPos(columns.max[i], "y", true));
    for (let i = end; i >= start; i--) {
      const low = log && columns.min[i] <= 0 ? columns.max[i] : columns.min[i];
      ctx.lineTo(u.valToPos(columns.x[i], "x", true), u.valToPos(low, "y", true));
    }
    ctx.fill();
    start = end;
  }
  ctx.globalAlpha = 1;
}

function path(u: uPlot, { range, log }: Scene, columns: Columns): void {
  const { ctx } = u;
  const [from, to] = window_(columns, range);
  const drawable = (i: number) => i >= from && i <= to && Number.isFinite(columns.mean[i]) && (!log || columns.mean[i] > 0);
  const at = (i: number): [number, number] => [u.valToPos(columns.x[i], "x", true), u.valToPos(columns.mean[i], "y", true)];
  ctx.beginPath();
  for (let i = from; i <= to; i++) {
    if (!drawable(i)) continue;
    if (drawable(i - 1)) ctx.lineTo(...at(i));
    else ctx.moveTo(...at(i));
    if (!drawable(i - 1) && !drawable(i + 1)) dot(ctx, ...at(i)); // a point alone has no line to be seen by
  }
  ctx.stroke();
}

function dot(ctx: CanvasRenderingContext2D, x: number, y: number): void {
  const r = 2 * devicePixelRatio;
  ctx.fillRect(x - r, y - r, 2 * r, 2 * r);
}

/** Over the lines: marks, and a triangle at the top where a value was not finite. */
export function paintOver(u: uPlot, scene: Scene, marks: ChartMark[], hovered: string): void {
  const { ctx, bbox } = u;
  const unit = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left - 4 * unit, bbox.top - 6 * unit, bbox.width + 8 * unit, bbox.height + 12 * unit);
  ctx.clip();
  for (const mark of marks) {
    if (mark.x < scene.range[0] || mark.x > scene.range[1]) continue;
    const x = Math.round(u.valToPos(mark.x, "x", true));
    ctx.strokeStyle = ctx.fillStyle = scene.colour(mark.colour ?? TONES[mark.tone]);
    const strong = mark.id === hovered;
    ctx.globalAlpha = strong ? 1 : 0.75;
    ctx.lineWidth = (strong ? 2 : 1) * unit;
    markShape(ctx, mark, x, bbox, unit, strong);
  }
  ctx.globalAlpha = 1;
  ctx.fillStyle = scene.colour("--bad");
  for (const line of scene.lines) {
    for (const bad of line.nonFinite) {
      if (bad.x < scene.range[0] || bad.x > scene.range[1]) continue;
      const x = u.valToPos(bad.x, "x", true);
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
