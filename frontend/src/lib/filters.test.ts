import { describe, expect, it } from "vitest";
import { both, countOf, fromFilter, groupConditions, readFilter, toFilter, valueTyped, type Built, type Filter } from "./filters";

const loss = { column: "metric:loss", operator: "<", value: 0.5 } as const;
const tag = { column: "tags", operator: "=", value: "base" } as const;
const none = { column: "cost", operator: "missing" } as const;

describe("the builder", () => {
  it.each<Filter>([{ all: [loss, tag] }, { any: [loss, { all: [tag, none] }] }])("gives back what it was given: %j", (filter) =>
    expect(toFilter(fromFilter(filter)!)).toEqual(filter));

  it("sends no condition that is half typed, and no empty group", () => {
    const built: Built = { join: "all", parts: [{ ...loss, value: "" }, { join: "any", conditions: [{ column: "name", operator: "~" }] }, none] };
    expect(toFilter(built)).toEqual({ all: [none] });
    expect(toFilter({ join: "any", parts: [] })).toBeNull();
  });

  it("says that it cannot show what is nested deeper", () => expect(fromFilter({ all: [{ any: [{ all: [loss] }] }] })).toBeNull());
});

it.each([["0.5", 0.5], ["-1e-3", -0.001], [".5", 0.5], ["adam", "adam"], ["1.2.3", "1.2.3"], ["", ""], ["0x10", "0x10"]])("takes %j as typed for %j", (text, value) =>
  expect(valueTyped(text)).toBe(value));

it("narrows to a group by its values, without a value by its absence, and by each of its tags", () => {
  expect(groupConditions(["config:lr", "config:opt", "tags"], [0.1, null, "a, b"])).toEqual([
    { column: "config:lr", operator: "=", value: 0.1 }, { column: "config:opt", operator: "missing" },
    { column: "tags", operator: "=", value: "a" }, { column: "tags", operator: "=", value: "b" },
  ]);
  expect(both(loss, [tag])).toEqual({ all: [loss, tag] });
  expect(both(null, [])).toBeNull();
});

it.each([["{", null], ['{"column": "name"}', null], ['{"all": [1]}', null], [JSON.stringify({ any: [loss] }), { any: [loss] }]])("reads %s", (text, filter) =>
  expect(readFilter(text)).toEqual(filter));

it("counts conditions wherever they stand", () => expect([countOf(null), countOf(loss), countOf({ any: [loss, { all: [tag, none] }] })]).toEqual([0, 1, 3]));
