/** Parallel coordinates: an upright axis a column, a line a run; a range brushed on an axis picks runs. */
import { t } from "../../lib/i18n";
import type { Axis } from "../../lib/axis";
import type { RunRow } from "../panels/context";
import { isMap } from "../panels/spec";
import type { PanelKind } from "./index";
import { firstMetric, firstSettings, nameOf } from "./columns";
import { listOf, type Stored } from "./read";

/** A brush is kept in shares of its axis, 0 at the bottom to 1 at the top. */
export type Brush = [from: number, to: number];

export function readParallel(options: Stored): { columns: string[]; brushes: Record<string, Brush> } {
  const brushes = isMap(options.brushes) ? Object.entries(options.brushes) : [];
  const good = (value: unknown): value is Brush => Array.isArray(value) && value.length === 2 && value.every((end) => typeof end === "number" && end >= 0 && end <= 1) && value[0] < value[1];
  return { columns: listOf(options.columns, 12), brushes: Object.fromEntries(brushes.filter((each): each is [string, Brush] => good(each[1]))) };
}

const AT_THE_EDGE = 1e-9; // what lies on a brush's end counts as within

/** Whether a run lies within every brush. Where it has no value, no brush holds it. */
export const within = (row: RunRow, axes: ReadonlyMap<string, Axis>, brushes: Record<string, Brush>): boolean =>
  Object.entries(brushes).every(([column, [from, to]]) => {
    const axis = axes.get(column);
    const at = axis?.share(row.values[column]) ?? NaN;
    return !axis || (at >= from - AT_THE_EDGE && at <= to + AT_THE_EDGE);
  });

/** A brush from where a drag began to where it is; null where that is no more than a click. */
export function brushed(from: number, to: number, least = 0.02): Brush | null {
  const clamp = (value: number) => Math.min(1, Math.max(0, value));
  const [low, high] = [clamp(Math.min(from, to)), clamp(Math.max(from, to))];
  return high - low < least ? null : [low, high];
}

/** A brush moved or widened by a key, as a keyboard does it: up and down move it, with shift its top moves. */
export function nudgedBrush(brush: Brush | undefined, key: string, wider: boolean): Brush | null | undefined {
  const by = key === "ArrowUp" ? 0.05 : key === "ArrowDown" ? -0.05 : 0;
  if (key === "Delete" || key === "Backspace") return null;
  if (!by) return undefined;
  const [from, to] = brush ?? [0, 1];
  if (!brush) return by > 0 ? [0.05, 1] : [0, 0.95];
  if (wider) return brushed(from, Math.max(from + 0.05, to + by)) ?? brush;
  const room = by > 0 ? Math.min(by, 1 - to) : Math.max(by, -from);
  return [from + room, to + room];
}

export const parallel: PanelKind = {
  kind: "parallel",
  name: () => t("Parallel coordinates"),
  about: () => t("Settings and results side by side; brush an axis to pick runs"),
  icon: "parallel",
  ofRuns: true,
  columns: 2,
  titleOf: (options) => readParallel(options).columns.map(nameOf).join(" · ") || t("Parallel coordinates"),
  start: (context) => ({ columns: [...firstSettings(context, 4), firstMetric(context)].filter(Boolean) }),
  body: () => import("./Parallel.svelte") as never,
  editor: () => import("./ParallelEditor.svelte") as never,
};
