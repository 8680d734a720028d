import { expect, it } from "vitest";
import { addressOf, readState } from "./savedview";
import { fromQuery, USUAL } from "./tableview";

it("is shown by an address that says all of it but the charts' own", () => {
  const state = readState({
    version: 1, layout: "table", table: { columns: [{ id: "metric:loss", pinned: true }], sort: "metric:loss", find: "a b" }, drawn: ["abc234", 3], others: ["abc234", "def567"], panels: { open: [1] },
  });
  const url = new URL(addressOf(7, "xyz345", state), "http://site");
  expect(url.pathname).toBe("/experiments/7");
  expect(fromQuery(url.searchParams)).toEqual({ ...USUAL, columns: [{ id: "metric:loss", pinned: true }], sort: "metric:loss", find: "a b" });
  expect(["draw", "others", "layout", "view"].map((name) => url.searchParams.get(name))).toEqual(["abc234", "abc234,def567", "table", "xyz345"]);
  expect(state.panels).toEqual({ open: [1] });
});

it.each([null, 3, {}, { table: 3, drawn: "x", layout: "no" }])("of %j is the usual, with nothing drawn", (state) =>
  expect(readState(state)).toEqual({ version: 1, layout: "both", table: { ...USUAL, columns: [] }, drawn: [], others: [], panels: null }));
