/** How wide the columns of a table are, and where those stand that stay at its left. */
import { isFigure, isTime, type ColumnId } from "./table";
import type { ColumnLook } from "./tableview";

export const PICK = 36;
export const EYE = 32;
export const NAME = 200;

const USUAL: Record<string, number> = { state: 108, last_step: 82, created_at: 118, duration: 96, tags: 150, created_by: 96, cost: 92 };

export const widthOf = ({ id, width }: ColumnLook, grouped: boolean): number =>
  width ?? USUAL[id] ?? (isTime(id) ? 118 : isFigure(id) ? (grouped ? 150 : 104) : 108);

/** Pixels from the left for the name and each column that stays; null for those that scroll. */
export function leftsOf(columns: readonly ColumnLook[], widths: (id: ColumnId) => number, name: number, lead: number): (number | null)[] {
  let at = lead;
  const lefts: (number | null)[] = [at];
  at += name;
  for (const { id, pinned } of columns) {
    lefts.push(pinned ? at : null);
    if (pinned) at += widths(id);
  }
  return lefts;
}
