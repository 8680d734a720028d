/** How a run's cell differs from that of the run that the others are compared with. */
import { DASH, number } from "./format";
import { isMeasured, type ColumnId } from "./table";

export type Difference = { kind: "figure"; words: string } | { kind: "other" };

/** null where there is nothing to say: equal, or one of them has no value. */
export function difference(value: unknown, base: unknown, column: ColumnId): Difference | null {
  if (column.startsWith("config:")) return JSON.stringify(value) === JSON.stringify(base) ? null : { kind: "other" };
  if (!isMeasured(column) || typeof value !== "number" || typeof base !== "number") return null;
  if (!Number.isFinite(value) || !Number.isFinite(base)) return null;
  const by = value - base;
  if (by === 0) return { kind: "figure", words: "±0" };
  const sign = by > 0 ? "+" : "−";
  // Of a base near nothing a share says nothing; below a doubling a share says more than the figure.
  const share = base === 0 ? Infinity : Math.abs(by / base);
  const words = share < 10 ? `${Number((share * 100).toPrecision(2))} %` : number(Math.abs(by), 2);
  return { kind: "figure", words: words === DASH ? "" : sign + words };
}
