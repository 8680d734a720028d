/** Columns for tests, from plain lists; what is not given is empty. */
import { emptyColumns, NAMES, type Columns } from "./columns";

export function columnsOf(lists: Partial<Record<keyof Columns, number[]>>): Columns {
  const out = emptyColumns();
  for (const name of NAMES) if (lists[name]) out[name] = Float64Array.from(lists[name]);
  return out;
}

/** The same as plain lists, to be compared. */
export const lists = (columns: Columns): Record<keyof Columns, number[]> =>
  Object.fromEntries(NAMES.map((name) => [name, Array.from(columns[name])])) as Record<keyof Columns, number[]>;
