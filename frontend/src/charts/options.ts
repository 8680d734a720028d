/** The settings uPlot gets, in one place. */
import type uPlot from "uplot";
import type { XAxis } from "../lib/columns";
import { clockLabels, secondsLabel, SECOND_INCREMENTS, STEP_INCREMENTS, stepLabel } from "../lib/ticks";
import { tickLabels, type Unit } from "../lib/units";
import type { Colour } from "./paint";

export interface Parts {
  width: number;
  height: number;
  x: XAxis;
  unit: Unit;
  log: boolean;
  lines: { label: string; colour: string }[];
  colour: Colour;
  syncKey: string;
  rangeX: () => [number, number];
  rangeY: () => [number, number];
  hooks: uPlot.Hooks.Arrays;
}

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
  return {
    width: parts.width,
    height: parts.height,
    padding: [8, 10, 0, 0],
    legend: { show: false },
    focus: { alpha: 0.25 },
    cursor: {
      drag: { x: true, y: false, setScale: false, dist: 6 },
      points: { show: parts.lines.length <= 8, size: 6, width: 1.5 },
      focus: { prox: 24 },
      // Only the crosshair is linked here; ranges are linked by the group, which also reads points anew.
      sync: { key: parts.syncKey, setSeries: false, scales: ["x", null], filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
      bind: { dblclick: () => null },
    },
    scales: {
      x: { time: parts.x === "time", range: () => parts.rangeX() },
      y: { distr: parts.log ? 3 : 1, range: () => parts.rangeY() },
    },
    axes: [
      {
        ...axis,
        size: 26,
        gap: 4,
        space: 70,
        ...(parts.x === "step" ? { incrs: STEP_INCREMENTS, values: (_: uPlot, ticks: number[]) => ticks.map(stepLabel) } : {}),
        ...(parts.x === "time" ? { values: (_: uPlot, ticks: number[]) => clockLabels(ticks) } : {}),
        ...(parts.x === "relative" ? { incrs: SECOND_INCREMENTS, values: (_: uPlot, ticks: number[]) => ticks.map(secondsLabel) } : {}),
      },
      {
        ...axis,
        size: growing(parts.unit.startsWith("bytes") ? 12 : 6),
        gap: 6,
        space: 34,
        ...(parts.unit.startsWith("bytes") ? { incrs: BYTES } : {}),
        values: (_: uPlot, ticks: (number | null)[]) => tickLabels(ticks, parts.unit),
      },
    ],
    series: [
      {},
      ...parts.lines.map((line) => ({
        label: line.label,
        stroke: () => colour(line.colour),
        width: parts.lines.length > 12 ? 1.2 : 1.6,
        points: { show: showPoints },
        spanGaps: false,
      })),
    ],
    hooks: parts.hooks,
  };
}

/** The axis' width: room for labels of so many characters, and never less than it had, so that a live plot stays where it is. */
function growing(characters: number): (u: uPlot, labels: string[]) => number {
  let longest = characters;
  return (_, labels) => {
    longest = Math.max(longest, ...(labels ?? []).map((label) => label?.length ?? 0));
    return 15 + 6.2 * longest;
  };
}

/** Dots where points stand far enough apart to be seen as such, and where a lone one would draw no line. */
function showPoints(u: uPlot, series: number, from: number, to: number): boolean {
  const room = u.bbox.width / devicePixelRatio / Math.max(1, to - from);
  return room > 24 || lonely(u.data[series]);
}

function lonely(values: uPlot.AlignedData[number]): boolean {
  let found = 0;
  for (const value of values as (number | null | undefined)[]) if (typeof value === "number" && (found += 1) > 1) return false;
  return found === 1;
}
