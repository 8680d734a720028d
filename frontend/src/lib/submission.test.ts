import { expect, it } from "vitest";
import { countArray, differences, noWishes, parseGrid, wishFields } from "./submission";

it("counts the combinations of a grid", () =>
  expect(parseGrid("lr=1e-4, 1e-3\n\nseed=1,2,3\n")).toEqual({ axes: { lr: ["1e-4", "1e-3"], seed: ["1", "2", "3"] }, count: 6, error: "" }));

it("says which line of a grid is none", () => expect(parseGrid("lr=1\nseed").error).toBe("line 2 is not NAME=V1,V2"));

it.each([["0-99%8", 100], ["10-14:2", 3], ["5-5", 1], ["9-1", 0], ["7", 0], ["0-9:0", 0]])("counts the array %s", (text, count) => {
  expect(countArray(text).count).toBe(count);
  expect(countArray(text).error === "").toBe(count > 0);
});

it("says only what was asked for", () => {
  expect(wishFields(noWishes(), {})).toEqual({});
  expect(wishFields({ ...noWishes(), memory: 1.5, after: "abc, def:any" }, { zone: "a" })).toEqual({
    memory_bytes: 1.5 * 2 ** 30, node_labels: { zone: "a" }, after: ["abc", "def:any"],
  });
});

it("names what differs from the old job", () =>
  expect(differences({ argv: ["a", "--lr", "1"], priority: 0, env: { A: "1" } }, { argv: ["a", "--lr", "2"], priority: 0, env: {}, experiment: 3 })).toEqual([
    { name: "argv", was: "a --lr 1", is: "a --lr 2" }, { name: "env", was: "A=1", is: "" },
  ]));
