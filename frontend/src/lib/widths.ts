/** How wide the columns of a table are, and where those stand that stay at its left. */
import { headOf, isFigure, isTime, type ColumnId } from "./table";
import type { ColumnLook } from "./tableview";

export const PICK = 36;
export const EYE = 32;
export const NAME = 200;

const USUAL: Record<string, number> = { state: 108, last_step: 82, created_at: 104, duration: 96, tags: 150, created_by: 96, group: 150, progress: 150, cost: 92 };
const LETTER = 6.9; // pixels of a letter in a head, which is bolder than what stands below it
const PADDING = 26;
const [NARROW, WIDE] = [62, 200];
export const DOT = 40; // the state as a sign alone, where there is little room
/** Where there is little room: a sign for the state, a share or a step for how far a run is. */
const SMALL: Record<string, number> = { state: DOT, progress: 92 };

/** `letters`: of the longest value of a setting, where it is known. `small`: there is little room. */
export function widthOf({ id, width }: ColumnLook, grouped: boolean, letters?: number, small = false): number {
  if (width) return width;
  if (small && SMALL[id]) return SMALL[id];
  if (USUAL[id]) return USUAL[id];
  if (isTime(id)) return 118;
  const { last, under } = headOf(id);
  const head = (last.length + (under ? under.length + 1 : 0)) * LETTER + PADDING + 12;
  const inside = isFigure(id) ? (grouped ? 150 : 84) : Math.min(letters ?? 9, 24) * LETTER + PADDING;
  return Math.round(Math.min(WIDE, Math.max(NARROW, head, inside)));
}

/** A name's column: as wide as the names are, within a share of the table. */
export const nameWidth = (names: readonly string[], room: number): number =>
  Math.round(Math.min(Math.max(150, room * 0.34), Math.max(NAME * 0.6, Math.max(0, ...names.map((each) => each.length)) * 7.2 + 46)));

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
