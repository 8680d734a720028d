/**
 * How the run table of an experiment is looked at. The address is where it stands: reloading, the back button and a link
 * that is passed on restore it. What a person chose last is kept in the browser for addresses that say nothing.
 */
import type { Query } from "../api/client";
import { askedFor, usualColumns, type ColumnId, type RunRow } from "../lib/table";
import { fromQuery, inOrder, isAsked, toQuery, type ColumnLook, type TableView } from "../lib/tableview";
import { router } from "./router.svelte";
import { readStored, writeStored } from "./stored";

export class TableState {
  readonly view: TableView = $derived(fromQuery(router.route.query));
  /** The rows and the goal that the usual columns are chosen by: once, for later ones must not move them. */
  first = $state.raw<readonly RunRow[]>([]);
  goal = $state("");
  private readonly usual: ColumnId[] = $derived(usualColumns(this.first, this.goal));
  readonly columns: ColumnLook[] = $derived(columnsOf(this.view, this.usual));
  /** Which runs are meant, as the API takes it. */
  readonly narrow: Query = $derived.by(() => narrowed(this.id, this.view));
  /** Changes when other runs, or another order of them, are asked for. */
  readonly question: string = $derived(JSON.stringify([this.narrow, this.view.sort, this.view.groups]));

  constructor(readonly id: string) {
    const kept = readStored<Record<string, string | null> | null>(`table.${id}`, null);
    if (kept && !isAsked(router.route.query)) router.query(kept);
  }

  /** `push`: the back button undoes it. */
  change(changes: Partial<TableView>, push = false): void {
    const query = toQuery({ ...this.view, ...changes });
    // Which runs are looked for is the address's alone: who comes back later wants to see all.
    writeStored(`table.${this.id}`, { ...query, find: null, filter: null });
    router.query(query, !push);
  }

  /** The columns as they are changed by hand: from then on they are no longer the usual ones. */
  setColumns(columns: ColumnLook[] | null): void {
    this.change({ columns });
  }
}

const columnsOf = (view: TableView, usual: ColumnId[]): ColumnLook[] => inOrder(view.columns ?? usual.map((id) => ({ id })));

export const narrowed = (id: string, { find, filter }: TableView): Query => ({
  experiment: id, find, filter: filter ? JSON.stringify(filter) : null,
});

/** The question that a page begins with, before any of it is on screen. */
export function firstQuestion(id: string, query: URLSearchParams): { query: Query; columns: string[] } {
  const view = isAsked(query) ? fromQuery(query) : fromQuery(new URLSearchParams(kept(id)));
  return { query: { ...narrowed(id, view), sort: view.sort }, columns: askedFor(columnsOf(view, usualColumns([], "")).map((each) => each.id)) };
}

function kept(id: string): Record<string, string> {
  const found = readStored<Record<string, string | null> | null>(`table.${id}`, null);
  return Object.fromEntries(Object.entries(found ?? {}).filter((each): each is [string, string] => !!each[1]));
}

