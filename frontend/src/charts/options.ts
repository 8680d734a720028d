/**
 * The settings uPlot gets, in one place. It draws axes and keeps the crosshair and the selection; the lines are our
 * own (paint.ts), each on its own columns, because joining the steps of twenty runs for every frame took longer than
 * drawing them.
 */
import type uPlot from "uplot";
import type { XAxis } from "../lib/columns";
import { clockLabels, secondsLabel, SECOND_INCREMENTS, STEP_INCREMENTS, stepLabel } from "../lib/ticks";
import { tickLabels, unitOf, type Unit } from "../lib/units";
import { bentTicks } from "./bentticks";
import type { Scale } from "./look";
import type { Colour } from "./paint";

export interface Parts {
  width: number;
  height: number;
  x: XAxis;
  units: [first: Unit, second: Unit];
  second: boolean; // there is an axis on the right
  scale: Scale;
  threshold: number;
  colour: Colour;
  syncKey: string;
  rangeX: () => [number, number];
  ranges: () => [first: [number, number], second: [number, number]];
  hooks: uPlot.Hooks.Arrays;
  /** Hears of each axis' ticks: 0 below, 1 left, 2 right. */
  ticked: (axis: 0 | 1 | 2, ticks: Ticks) => void;
}

export interface Ticks {
  at: (number | null)[];
  labels: string[];
}

/** CSS pixels between the plot and the labels below it, where marks stand: within it they would hide what is drawn there. */
export const MARKS_HIGH = 13;

export const DRAG = 6; // CSS pixels, from which on a press is a drag
const ROOM = 34; // CSS pixels from one label of an upright axis to the next

/** Round distances of ticks up to the largest number: uPlot's own end at 1e32, and an axis beyond them has no tick at all. */
const ROUND = Array.from({ length: 338 }, (_, i) => [1, 2, 2.5, 5].map((m) => Number(`${m}e${i - 30}`))).flat();
const BYTES = Array.from({ length: 18 }, (_, i) => [1, 2, 4, 8, 16, 32, 64, 128, 256, 512].map((m) => m * 1024 ** i)).flat();

export function options(parts: Parts): uPlot.Options {
  const { colour } = parts;
  const axis = {
    stroke: () => colour("--text-3"),
    font: "11px ui-sans-serif, system-ui, sans-serif",
    grid: { stroke: () => colour("--grid"), width: 1 },
    ticks: { show: false },
    border: { show: false },
  };
  const told = (axis: 0 | 1 | 2, at: (number | null)[], labels: string[]): string[] => {
    parts.ticked(axis, { at, labels });
    return labels;
  };
  const vertical = (unit: Unit, which: 1 | 2): uPlot.Axis => ({
    ...axis,
    size: growing(unit.startsWith("bytes") ? 12 : 6),
    gap: 6,
    space: ROOM,
    incrs: unit.startsWith("bytes") && parts.scale === "linear" ? BYTES : ROUND,
    ...(parts.scale === "linear" ? {} : {
      splits: () => bentTicks(parts.scale as "log" | "symlog", parts.ranges()[which - 1], parts.threshold, Math.floor((parts.height - 45) / ROOM)),
      filter: (_: uPlot, ticks: number[]) => ticks,
    }),
    values: (_: uPlot, ticks: (number | null)[]) => told(which, ticks, tickLabels(ticks.map((tick) => (inside(tick, parts.ranges()[which - 1]) ? tick : null)), unit)),
  });
  const along = horizontal(parts.x);
  const upright = (which: 0 | 1): uPlot.Scale => ({
    distr: parts.scale === "log" ? 3 : parts.scale === "symlog" ? 4 : 1,
    asinh: parts.threshold,
    range: () => parts.ranges()[which],
  });
  return {
    width: parts.width,
    height: parts.height,
    padding: [8, parts.second ? 0 : 18, 0, 0], // at the right, for half of the last label below
    legend: { show: false },
    cursor: {
      // What is a click and what the end of a drag is for the plot to say (plot.ts): marks are pressed below its frame, too.
      drag: { x: true, y: false, setScale: false, dist: DRAG, click: () => undefined },
      points: { show: false },
      // Only the crosshair is linked here; ranges are linked by the group, which also reads points anew.
      sync: { key: parts.syncKey, setSeries: false, scales: ["x", null], filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
      bind: {
        dblclick: () => null,
        // With shift or alt a drag moves the picture: that is the plot's own work, not a selection.
        mousedown: (_u, _target, usual) => (event: MouseEvent) => (event.shiftKey || event.altKey || event.button ? null : usual(event)),
      },
    },
    scales: { x: { time: parts.x === "time", range: () => parts.rangeX() }, y: upright(0), ...(parts.second ? { second: upright(1) } : {}) },
    axes: [
      {
        ...axis,
        size: 22 + MARKS_HIGH,
        gap: MARKS_HIGH,
        space: 70,
        ...(along.incrs ? { incrs: along.incrs } : {}),
        values: (_: uPlot, ticks: number[]) => told(0, ticks, along.labels(ticks)),
      },
      vertical(parts.units[0], 1),
      ...(parts.second ? [{ ...vertical(parts.units[1], 2), scale: "second", side: 1 as const, grid: { show: false } }] : []),
    ],
    series: [{}, unseen("y"), ...(parts.second ? [unseen("second")] : [])],
    hooks: parts.hooks,
  };
}

const inside = (tick: number | null, [low, high]: [number, number]): boolean => tick !== null && tick >= low - (high - low) * 1e-9 && tick <= high + (high - low) * 1e-9;

function horizontal(x: XAxis): { incrs?: number[]; labels: (ticks: number[]) => string[] } {
  if (x === "step" || x === "relative_step") return { incrs: STEP_INCREMENTS, labels: (ticks) => ticks.map(stepLabel) };
  if (x === "relative") return { incrs: SECOND_INCREMENTS, labels: (ticks) => ticks.map(secondsLabel) };
  return { labels: x === "time" ? clockLabels : (ticks) => tickLabels(ticks, unitOf(x)) };
}

/** uPlot keeps a scale only while a series has values on it. */
const unseen = (scale: string): uPlot.Series => ({ scale, paths: () => null, points: { show: false } });

/** The axis' width: room for labels of so many characters, and never less than it had, so that a live plot stays where it is. */
function growing(characters: number): (u: uPlot, labels: string[]) => number {
  let longest = characters;
  return (_, labels) => {
    longest = Math.max(longest, ...(labels ?? []).map((label) => label?.length ?? 0));
    return 15 + 6.2 * longest;
  };
}
