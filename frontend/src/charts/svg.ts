/** What a chart shows as an SVG of its own: axes, bands, lines, branches left behind, marks, a heading and a legend. */
import type { Columns } from "../lib/columns";
import type { Range } from "../lib/zoom";
import { within, type ShownLine } from "./lines";
import type { Scale } from "./look";
import type { Ticks } from "./options";
import { TONES, type ChartMark, type Colour } from "./paint";
import { shareOf } from "./projection";

export interface Seen {
  title: string;
  width: number;
  height: number;
  lines: ShownLine[];
  marks: ChartMark[];
  range: Range;
  ranges: [Range, Range];
  ticks: Ticks[];
  scale: Scale;
  threshold: number;
  smoothing: boolean;
  colour: Colour;
}

const MARGIN = { left: 64, right: 16, second: 64, top: 34, bottom: 26 };
const LEGEND_ROW = 17;
const MOST_IN_LEGEND = 40;

export function svgOf(seen: Seen): string {
  const { width, height, lines, colour } = seen;
  const second = lines.some((line) => line.second);
  const plot = { left: MARGIN.left, top: MARGIN.top, width: width - MARGIN.left - (second ? MARGIN.second : MARGIN.right), height: height - MARGIN.top - MARGIN.bottom };
  const share = shareOf("linear", seen.range, 1);
  const x = (value: number) => plot.left + plot.width * share(value);
  const heights = seen.ranges.map((range) => shareOf(seen.scale, range, seen.threshold));
  const y = (which: 0 | 1) => (value: number) => plot.top + plot.height * (1 - heights[which](value));
  const legend = lines.length > 1 ? lines.slice(0, MOST_IN_LEGEND) : [];
  const text = (left: number, top: number, words: string, anchor = "start", name = "--text-3", size = 11) =>
    `<text x="${round(left)}" y="${round(top)}" font-size="${size}" text-anchor="${anchor}" fill="${escape(colour(name))}">${escape(words)}</text>`;
  const ticksOf = (at: 0 | 1 | 2) => (seen.ticks[at]?.at ?? []).flatMap((value, i) => (value === null || !seen.ticks[at].labels[i] ? [] : [{ value, label: seen.ticks[at].labels[i] }]));
  const parts = [
    `<rect width="100%" height="100%" fill="${escape(colour("--surface"))}"/>`,
    text(MARGIN.left, 20, seen.title, "start", "--text", 13),
    ...ticksOf(0).map(({ value, label }) => upright(x(value), plot, colour("--grid")) + text(x(value), plot.top + plot.height + 16, label, "middle")),
    ...ticksOf(1).map(({ value, label }) => level(y(0)(value), plot, colour("--grid")) + text(plot.left - 8, y(0)(value) + 4, label, "end")),
    ...(second ? ticksOf(2).map(({ value, label }) => text(plot.left + plot.width + 8, y(1)(value) + 4, label)) : []),
    `<clipPath id="plot"><rect x="${plot.left}" y="${plot.top}" width="${plot.width}" height="${plot.height}"/></clipPath><g clip-path="url(#plot)" fill="none" stroke-linejoin="round">`,
    ...seen.marks.filter((mark) => isWithin(mark.x, seen.range)).map((mark) => {
      // Checkpoints are many: a short line at the foot, as on the screen.
      const box = mark.kind === "checkpoint" ? { ...plot, top: plot.top + plot.height - SHORT, height: SHORT } : plot;
      return upright(x(mark.x), box, colour(mark.colour ?? TONES[mark.tone]), mark.kind === "checkpoint" ? "" : "3 3", mark.label);
    }),
    ...lines.map((line) => drawn(line, seen, x, y(line.second ? 1 : 0), escape(colour(line.colour)))),
    "</g>",
    ...lines.flatMap((line) => line.nonFinite.filter((bad) => isWithin(bad.x, seen.range)).map((bad) => notFinite(x(bad.x), plot, bad.kind, escape(colour("--bad"))))),
    ...legend.map((line, i) => `<rect x="${plot.left}" y="${height + i * LEGEND_ROW}" width="9" height="9" rx="2" fill="${escape(colour(line.colour))}"/>${text(plot.left + 15, height + i * LEGEND_ROW + 9, line.label, "start", "--text-2")}`),
  ];
  const tall = height + legend.length * LEGEND_ROW + (legend.length ? 8 : 0);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${tall}" viewBox="0 0 ${width} ${tall}" font-family="system-ui, sans-serif">${parts.join("")}</svg>`;
}

const SHORT = 6;
const APART = 24; // pixels, from there on points are seen as such
const isWithin = (value: number, [low, high]: Range): boolean => value >= low && value <= high;

/** A triangle at the edge beyond which the value lies. */
function notFinite(x: number, box: Box, kind: string, fill: string): string {
  const [y, way] = kind === "-Infinity" ? [box.top + box.height, -1] : [box.top, 1];
  return `<path d="M${round(x - 4)} ${round(y)}L${round(x + 4)} ${round(y)}L${round(x)} ${round(y + 7 * way)}Z" fill="${fill}"><title>${kind}</title></path>`;
}

function drawn(line: ShownLine, seen: Seen, x: (value: number) => number, y: (value: number) => number, stroke: string): string {
  const { columns, faded, shown } = line;
  const log = seen.scale === "log";
  const [from, to] = within(columns, seen.range);
  const parts: string[] = [];
  if (!line.exact || line.runs) {
    const usable = (i: number) => i <= to && Number.isFinite(columns.min[i]) && (!log || columns.max[i] > 0);
    const edge = (i: number, value: number) => `${round(x(columns.x[i]))},${round(y(value))}`;
    for (let start = from; start <= to; start++) {
      const rows: number[] = [];
      while (usable(start)) rows.push(start++);
      if (rows.length < 2) continue;
      const foot = (i: number) => (log && columns.min[i] <= 0 ? columns.max[i] : columns.min[i]);
      parts.push(`<polygon fill="${stroke}" fill-opacity="0.15" points="${[...rows.map((i) => edge(i, columns.max[i])), ...rows.reverse().map((i) => edge(i, foot(i)))].join(" ")}"/>`);
    }
  }
  // What was measured stands behind what is smoothed.
  if (seen.smoothing) parts.push(`<path d="${pathOf(columns, columns.mean, seen, x, y)}" stroke="${stroke}" stroke-opacity="0.3"/>`);
  parts.push(...faded.map((part) => `<path d="${pathOf(part, part.mean, seen, x, y)}" stroke="${stroke}" stroke-opacity="0.45" stroke-dasharray="3 3"/>`));
  parts.push(`<path d="${pathOf(columns, shown, seen, x, y)}" stroke="${stroke}" stroke-width="1.6"${line.dashed ? ' stroke-dasharray="6 4"' : ""}/>`);
  const there = (i: number) => i >= from && i <= to && Number.isFinite(shown[i]) && (!log || shown[i] > 0);
  const spread = to > from && x(columns.x[to]) - x(columns.x[from]) > APART * (to - from);
  // A point alone has no line to be seen by.
  for (let i = from; i <= to; i++) if (there(i) && (spread || (!there(i - 1) && !there(i + 1)))) parts.push(`<rect x="${round(x(columns.x[i]) - 2)}" y="${round(y(shown[i]) - 2)}" width="4" height="4" fill="${stroke}"/>`);
  return parts.join("");
}

function pathOf(columns: Columns, values: ArrayLike<number>, seen: Seen, x: (value: number) => number, y: (value: number) => number): string {
  const [from, to] = within(columns, seen.range);
  let before = false;
  let d = "";
  for (let i = from; i <= to; i++) {
    const now = Number.isFinite(values[i]) && (seen.scale !== "log" || values[i] > 0);
    if (now) d += `${before ? "L" : "M"}${round(x(columns.x[i]))} ${round(y(values[i]))}`;
    before = now;
  }
  return d;
}

interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}
const upright = (x: number, box: Box, colour: string, dash = "", label = "") =>
  `<line x1="${round(x)}" x2="${round(x)}" y1="${box.top}" y2="${box.top + box.height}" stroke="${escape(colour)}"${dash ? ` stroke-dasharray="${dash}"` : ""}>${label ? `<title>${escape(label)}</title>` : ""}</line>`;
const level = (y: number, box: Box, colour: string) => `<line x1="${box.left}" x2="${box.left + box.width}" y1="${round(y)}" y2="${round(y)}" stroke="${escape(colour)}"/>`;
const round = (value: number) => Math.round(value * 100) / 100;
/** A run or metric may be named like markup. Control characters have no place in XML at all. */
const escape = (text: string) =>
  // eslint-disable-next-line no-control-regex
  text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "").replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
