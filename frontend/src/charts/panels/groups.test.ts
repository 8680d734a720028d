import { expect, it } from "vitest";
import { DrawnGroups, groupName } from "./groups.svelte";

const told = (value: string | null, count: number) => ({ values: [value], count, live: 0, statistics: {} });

it("takes all runs of a group, hidden or not, and says how many there are", async () => {
  const drawn = new DrawnGroups();
  await drawn.take({ by: ["config:optimizer"], groups: [told("sgd", 40), told(null, 1)], codes: async (group, most) => (group.count > 1 ? Array.from({ length: most }, (_, i) => `r${i}`) : ["x"]) });
  expect(drawn.list!.map(({ name, runs, sources }) => [name, runs, sources.length])).toEqual([["optimizer=sgd", 40, 20], ["optimizer=–", 1, 1]]);
  expect(drawn.list![0].colour).not.toBe(drawn.list![1].colour);
  await drawn.take(null);
  expect(drawn.list).toBeNull();
});

it("the newest question wins", async () => {
  const drawn = new DrawnGroups();
  let answer: (codes: string[]) => void = () => undefined;
  const slow = drawn.take({ by: ["state"], groups: [told("failed", 1)], codes: () => new Promise((done) => (answer = done)) });
  await drawn.take({ by: ["state"], groups: [told("finished", 1)], codes: async () => ["b"] });
  answer(["a"]);
  await slow;
  expect(drawn.list!.map(({ name }) => name)).toEqual(["state=finished"]);
  expect(groupName(["config:lr", "state"], [0.1, "failed"])).toBe("lr=0.1, state=failed");
});
