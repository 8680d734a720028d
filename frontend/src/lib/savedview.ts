/** A saved view's state, as the server keeps it under a short code: what the table and the charts show. */
import { fromKept, toQuery, type ColumnLook, type TableView } from "./tableview";
import { withQuery } from "./route";

export type Layout = "both" | "table" | "charts";

export interface ViewState {
  version: 1;
  layout: Layout;
  table: TableView & { columns: ColumnLook[] };
  drawn: string[];
  others: string[]; // what was drawn before one run was drawn alone
  panels: unknown; // the charts' own, not looked into here
}

const MOST_IN_ADDRESS = 100; // codes: more would be too long an address

export function readState(state: unknown): ViewState {
  const { layout, table, drawn, others, panels } = (state ?? {}) as Record<string, unknown>;
  const read = fromKept(table);
  return {
    version: 1,
    layout: layout === "table" || layout === "charts" ? layout : "both",
    table: { ...read, columns: read.columns ?? [] },
    drawn: codes(drawn),
    others: codes(others),
    panels: panels ?? null,
  };
}

const codes = (value: unknown): string[] => (Array.isArray(value) ? value.filter((code) => typeof code === "string") : []);

/** The address of an experiment's page that shows this. */
export function addressOf(experiment: number, code: string, state: ViewState): string {
  const drawn = state.drawn.slice(0, MOST_IN_ADDRESS);
  return withQuery(`/experiments/${experiment}`, new URLSearchParams(), {
    ...toQuery(state.table), draw: drawn.length ? drawn.join() : "-", others: state.others.slice(0, MOST_IN_ADDRESS).join(), layout: state.layout, view: code,
  });
}
