/** How a run table is looked at: what the address and a saved view hold of it, and how they are read back. */
import { isFilter, readFilter, type Filter } from "./filters";
import type { ColumnId } from "./table";

export interface ColumnLook {
  id: ColumnId;
  width?: number; // pixels
  pinned?: boolean; // stays at the left
}

export interface TableView {
  columns: ColumnLook[] | null; // null: the usual ones
  sort: string; // the API's: a column, with a minus greatest first
  find: string;
  filter: Filter | null;
  groups: ColumnId[];
  differ: boolean; // without settings that are the same for all
  pinned: string[]; // codes that stay on top
  baseline: string; // code that the others are compared with, or ""
  colours: Record<string, number>; // code: one of the palette, where a person chose it
  lines: string[] | null; // groups that are drawn, by the JSON of their values; null: the first ones
}

export const USUAL: TableView = {
  columns: null, sort: "-created_at", find: "", filter: null, groups: [], differ: false, pinned: [], baseline: "", colours: {}, lines: null,
};
export const PARAMETERS = ["columns", "sort", "find", "filter", "groups", "differ", "pinned", "baseline", "colours", "lines"] as const;

export const MOST_COLUMNS = 60;
export const MOST_PINNED = 20;
export const MOST_GROUPS = 5;
export const NARROWEST = 56;
export const WIDEST = 600;

/** A column in an address: `!` in front where it is pinned, `@120` behind where its width was set. */
const writeColumn = ({ id, width, pinned }: ColumnLook): string => `${pinned ? "!" : ""}${id}${width ? `@${Math.round(width)}` : ""}`;

function readColumn(text: string): ColumnLook {
  const [, pinned, id, width] = /^(!?)(.*?)(?:@(\d{2,3}))?$/s.exec(text) ?? ["", "", text, ""];
  const look: ColumnLook = { id };
  if (pinned) look.pinned = true;
  if (width) look.width = Math.min(WIDEST, Math.max(NARROWEST, Number(width)));
  return look;
}

// Keys may hold commas, but hardly ever a line's end: nothing of a run's may.
const JOIN = "\n";

/** Query parameters that say how the table differs from the usual; null takes one out. */
export function toQuery(view: TableView): Record<(typeof PARAMETERS)[number], string | null> {
  return {
    columns: view.columns ? view.columns.map(writeColumn).join(JOIN) || JOIN : null,
    sort: view.sort === USUAL.sort ? null : view.sort,
    find: view.find || null,
    filter: view.filter ? JSON.stringify(view.filter) : null,
    groups: view.groups.join(JOIN) || null,
    differ: view.differ ? "1" : null,
    pinned: view.pinned.join() || null,
    baseline: view.baseline || null,
    colours: Object.entries(view.colours).map(([code, colour]) => `${code}.${colour}`).join() || null,
    lines: view.lines ? view.lines.join(JOIN) || JOIN : null,
  };
}

export const isAsked = (query: URLSearchParams): boolean => PARAMETERS.some((name) => query.has(name));

export function fromQuery(query: URLSearchParams): TableView {
  const columns = query.get("columns");
  return {
    columns: columns === null ? null : distinct(columns.split(JOIN).filter(Boolean).map(readColumn)),
    sort: query.get("sort") ?? USUAL.sort,
    find: query.get("find") ?? "",
    filter: readFilter(query.get("filter") ?? ""),
    groups: (query.get("groups") ?? "").split(JOIN).filter(Boolean).slice(0, MOST_GROUPS),
    differ: query.get("differ") === "1",
    pinned: codes(query.get("pinned")).slice(0, MOST_PINNED),
    baseline: codes(query.get("baseline"))[0] ?? "",
    colours: Object.fromEntries(
      codes(query.get("colours")).flatMap((each) => {
        const [code, colour] = each.split(".");
        return Number(colour) >= 1 && Number(colour) <= 12 ? [[code, Math.trunc(Number(colour))]] : [];
      }),
    ),
    lines: query.get("lines")?.split(JOIN).filter(Boolean) ?? null,
  };
}

const codes = (text: string | null): string[] => [...new Set((text ?? "").split(",").filter(Boolean))];

const distinct = (columns: ColumnLook[]): ColumnLook[] =>
  columns.filter((each, at) => each.id !== "name" && columns.findIndex((other) => other.id === each.id) === at).slice(0, MOST_COLUMNS);

/** A kept view's table: whatever of it this version understands, the rest as usual. */
export function fromKept(kept: unknown): TableView {
  if (kept === null || typeof kept !== "object") return USUAL;
  const { columns, sort, find, filter, groups, differ, pinned, baseline, colours, lines } = kept as Record<string, unknown>;
  const texts = (value: unknown): string[] => (Array.isArray(value) ? value.filter((each) => typeof each === "string") : []);
  return {
    columns: Array.isArray(columns)
      ? distinct(columns.filter((each) => typeof (each as ColumnLook | null)?.id === "string").map((each: ColumnLook) => readColumn(writeColumn(each))))
      : null,
    sort: typeof sort === "string" && sort ? sort : USUAL.sort,
    find: typeof find === "string" ? find : "",
    filter: isFilter(filter) ? filter : null,
    groups: texts(groups).slice(0, MOST_GROUPS),
    differ: differ === true,
    pinned: texts(pinned).slice(0, MOST_PINNED),
    baseline: typeof baseline === "string" ? baseline : "",
    colours: Object.fromEntries(
      Object.entries((colours ?? {}) as Record<string, unknown>).filter(
        (each): each is [string, number] => typeof each[1] === "number" && each[1] >= 1 && each[1] <= 12,
      ),
    ),
    lines: Array.isArray(lines) ? texts(lines) : null,
  };
}

/** Sorted by a column: the other way if it is already, names from A, all else from the greatest. */
export const nextSort = (sort: string, column: ColumnId): string =>
  sort === column ? `-${column}` : sort === `-${column}` ? column : column === "name" || column === "state" || column === "tags" ? column : `-${column}`;

/** A column moved by so many places among those that are pinned, or those that are not. */
export function moved(columns: ColumnLook[], id: ColumnId, by: number): ColumnLook[] {
  const from = columns.findIndex((each) => each.id === id);
  const to = Math.min(columns.length - 1, Math.max(0, from + by));
  if (from < 0 || from === to) return columns;
  const next = columns.toSpliced(from, 1);
  next.splice(to, 0, columns[from]);
  return next;
}

/** Pinned ones first, each kind in its order: as they are drawn. */
export const inOrder = (columns: ColumnLook[]): ColumnLook[] => [...columns.filter((each) => each.pinned), ...columns.filter((each) => !each.pinned)];
