/** A series of a page's board: its parts as the store sent them, and the line that they make. */
import type { Buckets } from "../api/types";
import { concatenate, emptyColumns, ordered, type Columns, type NonFinite, type Part, type XAxis } from "../lib/columns";
import type { XRange } from "./group";

export interface SeriesLine {
  columns: Columns;
  faded: Columns[];
  nonFinite: NonFinite[];
  exact: boolean;
  lead?: Columns; // what comes before a zoom's range: smoothed over, not drawn
}

export interface Entry {
  parts: Part[];
  zoomed: { range: XRange; parts: Part[]; lead?: Columns } | null;
  line: SeriesLine | null; // worked out of the parts, null when they changed
}

export interface LatePoint {
  source: string;
  key: string;
  branch: number;
  step: number;
  time: number;
  value: number;
}

/** Axes that every point has a place on; any other name is a logged key. */
export const OWN_AXES: readonly string[] = ["step", "relative_step", "time", "relative"];

export const asPart = ({ branch, faded, bucket, exact, columns, non_finite, x }: Buckets): Part => ({
  branch, faded, bucket: bucket || 1, exact, columns, nonFinite: non_finite, axis: x,
});

/** The line along an axis. The store gives a part by its steps where it has no data on the axis asked for. */
export function asLine(all: Part[], axis: XAxis): SeriesLine {
  const parts = all.filter((part) => (part.axis ?? axis) === axis);
  const inForce = parts.filter((part) => !part.faded);
  return {
    columns: inForce.length ? ordered(concatenate(inForce)) : emptyColumns(),
    faded: parts.filter((part) => part.faded).map((part) => ordered(part.columns)),
    nonFinite: parts.flatMap((part) => part.nonFinite),
    exact: inForce.every((part) => part.exact),
  };
}

/** Where a live point stands on an axis of our own, from where the ones before it stand. */
export function xOf(point: LatePoint, axis: XAxis, parts: Part[]): number {
  if (axis === "step") return point.step;
  if (axis === "time") return point.time;
  const first = parts.find((part) => part.columns.x.length)?.columns;
  if (!first) return 0;
  return axis === "relative" ? point.time - (first.time[0] - first.x[0]) : point.step - (first.step[0] - first.x[0]);
}
