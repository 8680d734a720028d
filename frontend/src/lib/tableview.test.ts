import { describe, expect, it } from "vitest";
import { fromKept, fromQuery, inOrder, moved, nextSort, toQuery, USUAL, type TableView } from "./tableview";

const whole: TableView = {
  columns: [{ id: "metric:val/loss, old", width: 130, pinned: true }, { id: "config:a@b" }], sort: "metric:loss", find: "/x|y/",
  filter: { any: [{ column: "name", operator: "~", value: "^a" }] }, groups: ["config:optimizer", "state"], differ: true,
  pinned: ["abc234", "bcd345"], baseline: "abc234", colours: { abc234: 3 }, lines: ['["a, b",1]', "[null]"],
};
const asQuery = (view: TableView) =>
  new URLSearchParams(Object.entries(toQuery(view)).filter((each): each is [string, string] => each[1] !== null));

describe("an address", () => {
  it("says nothing of a table as it is usually", () => expect(asQuery(USUAL).toString()).toBe(""));
  it.each([["everything", whole], ["the usual", USUAL], ["no column at all", { ...USUAL, columns: [] }], ["no group", { ...USUAL, lines: [] }]])("restores %s", (_, view) =>
    expect(fromQuery(new URLSearchParams(asQuery(view).toString()))).toEqual(view));
  it("that was tampered with is read as far as it goes", () =>
    expect(fromQuery(new URLSearchParams("columns=name%0Astate%0Astate@9999&filter={&colours=a.99,b.2,c&differ=yes&sort="))).toEqual({
      ...USUAL, columns: [{ id: "state" }, { id: "state@9999" }], colours: { b: 2 }, sort: "",
    }));
});

describe("a kept view", () => {
  it("restores everything, through JSON", () => expect(fromKept(JSON.parse(JSON.stringify(whole)))).toEqual(whole));
  it.each([null, 3, [], { columns: "x", groups: 3, filter: { all: 1 }, colours: { a: "red" }, pinned: [1] }])("of another shape (%j) shows the usual", (kept) =>
    expect(fromKept(kept)).toEqual(USUAL));
});

it("turns the order round at a second click", () => {
  expect(nextSort("-created_at", "metric:loss")).toBe("-metric:loss");
  expect(nextSort("-metric:loss", "metric:loss")).toBe("metric:loss");
  expect(nextSort("metric:loss", "name")).toBe("name");
});

it("moves a column and keeps it within the table", () => {
  const columns = ["a", "b", "c"].map((id) => ({ id }));
  const ids = (list: { id: string }[]) => list.map((each) => each.id).join("");
  expect([ids(moved(columns, "a", 1)), ids(moved(columns, "c", -2)), ids(moved(columns, "c", 5)), ids(moved(columns, "x", 1))]).toEqual(["bac", "cab", "abc", "abc"]);
  expect(ids(inOrder([{ id: "a" }, { id: "b", pinned: true }, { id: "c" }]))).toBe("bac");
});
