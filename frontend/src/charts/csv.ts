/** What a chart shows as a table: one row a drawn point, within the range that is seen. */
import type { Columns } from "../lib/columns";
import { within, type ShownLine } from "./lines";
import type { XRange } from "./group";

const HEAD = ["line", "x", "step", "time", "mean", "min", "max", "count"];

/** `smoothed` is a column where lines are, and `left_behind` (0 or 1) where a branch is drawn that a roll back left. */
export function csvOf(lines: ShownLine[], range: XRange, smoothing: boolean): string {
  const branches = lines.some(({ faded }) => faded.length > 0);
  const rows: unknown[][] = [[...HEAD, ...(smoothing ? ["smoothed"] : []), ...(branches ? ["left_behind"] : [])]];
  const add = (label: string, columns: Columns, shown: ArrayLike<number> | null) => {
    const [from, to] = within(columns, range);
    for (let i = from; i <= to; i++) {
      if (columns.x[i] < range[0] || columns.x[i] > range[1]) continue;
      const mean = Number.isFinite(columns.mean[i]) ? columns.mean[i] : columns.last[i];
      const row = [label, columns.x[i], columns.step[i], columns.time[i], mean, columns.min[i], columns.max[i], columns.count[i]];
      rows.push([...row, ...(smoothing ? [shown ? shown[i] : ""] : []), ...(branches ? [shown ? 0 : 1] : [])]);
    }
  };
  for (const { label, columns, shown, faded } of lines) {
    add(label, columns, shown);
    for (const branch of faded) add(label, branch, null);
  }
  return tableOf(rows);
}

export const tableOf = (rows: unknown[][]): string => rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";

/** RFC 4180; a name that a spreadsheet would take for a formula is told apart by an apostrophe. */
function cell(value: unknown): string {
  if (typeof value === "number") return String(value);
  const text = String(value ?? "").replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
