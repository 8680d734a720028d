/** What a cell of the run table says: pure, so that a row can be given another run by changing its texts alone. */
import { difference } from "./baseline";
import { duration, exact, integer, number } from "./format";
import { isFigure, isTime, unitOfColumn, valueOf, type ColumnId, type RunRow } from "./table";
import { withUnit } from "./units";

export interface CellWords {
  text: string;
  title?: string;
  look?: "bad" | "differs"; // not finite; or another setting than the baseline's
  by?: string; // the difference to the baseline's
}

const NOTHING: CellWords = { text: "" };

/** Columns that are more than a text. */
export const isDrawn = (column: ColumnId): boolean => column === "state" || column === "progress" || column === "tags" || isTime(column);

export function wordsOf(run: RunRow, column: ColumnId, baseline: RunRow | null): CellWords {
  if (isDrawn(column)) return NOTHING;
  const value = valueOf(run, column);
  const said = plainWords(run, column, value);
  const differs = baseline && baseline.code !== run.code ? difference(value, valueOf(baseline, column), column) : null;
  if (differs?.kind === "other") return { ...said, look: "differs" };
  return differs ? { ...said, by: differs.words } : said;
}

function plainWords(run: RunRow, column: ColumnId, value: unknown): CellWords {
  if (column === "last_step") return { text: integer(value as number | null) };
  if (isFigure(column)) {
    if (typeof value !== "number") return NOTHING;
    if (column === "cost") return { text: `${number(value, 3)} ${run.usage?.currency ?? ""}`.trimEnd() };
    if (column === "device_seconds") return { text: duration(value) };
    if (column === "energy_joules") return { text: `${number(value / 3.6e6, 3)} kWh` };
    return { text: withUnit(value, unitOfColumn(column)), ...(Number.isFinite(value) ? {} : { look: "bad" }) };
  }
  if (value === undefined || value === null) return NOTHING;
  return { text: short(value), title: exact(value) };
}

/** A setting is shown whole where it fits; its every digit is in the title. */
const short = (setting: unknown): string => (typeof setting === "number" && String(setting).length > 9 ? number(setting, 5) : exact(setting));
