import { expect, it } from "vitest";
import { DrawnGroups, drawnOf, groupName, toggled } from "./groups.svelte";

const told = (value: string | null, count: number) => ({ values: [value], count, live: 0, statistics: {} });

it("takes all runs of a group, hidden or not, and says how many there are", async () => {
  const drawn = new DrawnGroups();
  await drawn.take({ by: ["config:optimizer"], groups: [told("sgd", 40), told("adam", 9), told(null, 1)], colours: new Map([['["sgd"]', "--series-3"], ["[null]", "--series-4"]]), codes: async (group, most) => (group.count > 1 ? Array.from({ length: most }, (_, i) => `r${i}`) : ["x"]) });
  expect(drawn.list!.map(({ name, runs, sources }) => [name, runs, sources.length])).toEqual([["optimizer=sgd", 40, 20], ["optimizer=–", 1, 1]]);
  expect(drawn.list!.map(({ colour }) => colour)).toEqual(["--series-3", "--series-4"]);
  await drawn.take(null);
  expect(drawn.list).toBeNull();
});

it("the newest question wins", async () => {
  const drawn = new DrawnGroups();
  let answer: (codes: string[]) => void = () => undefined;
  const slow = drawn.take({ by: ["state"], groups: [told("failed", 1)], colours: new Map([['["failed"]', "--series-1"]]), codes: () => new Promise((done) => (answer = done)) });
  await drawn.take({ by: ["state"], groups: [told("finished", 1)], colours: new Map([['["finished"]', "--series-1"]]), codes: async () => ["b"] });
  answer(["a"]);
  await slow;
  expect(drawn.list!.map(({ name }) => name)).toEqual(["state=finished"]);
  expect(groupName(["config:lr", "state"], [0.1, "failed"])).toBe("lr=0.1, state=failed");
});

it("draws the first twelve, or those that were chosen, in colours of their own", () => {
  const many = Array.from({ length: 30 }, (_, i) => told(`g${i}`, 1));
  const keys = many.map(({ values }) => JSON.stringify(values));
  const drawn = drawnOf(["tags"], many, null);
  expect([...drawn.keys()]).toEqual(keys.slice(0, 12));
  expect(new Set(drawn.values()).size).toBe(12);
  expect([...drawnOf(["tags"], many, toggled([...drawn.keys()], keys[25])).keys()]).toEqual([...keys.slice(0, 11), keys[25]]);
  expect([...drawnOf(["tags"], many, toggled(keys.slice(0, 2), keys[0])).keys()]).toEqual([keys[1]]);
  expect(drawnOf(["tags"], many, []).size).toBe(0);
  expect(drawnOf(["tags"], many, ['["of another grouping"]']).size).toBe(12);
});
