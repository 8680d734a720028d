import { expect, it } from "vitest";
import type { JobRequest } from "../api/types";
import { countArray, differences, formFields, formOf, justOne, keptOf, manyFields, newForm, noWishes, parseGrid, wishesOf, wishFields } from "./submission";
import { tellIn } from "./when";
import { splitWords } from "./words";

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

const old = {
  run: "abc", name: "wide", experiment: 3, argv: ["python", "a b.py"], env: { A: "1" }, cwd: "/code", config: { lr: 1 }, tags: ["x"], working_copy: "f00",
  git: { url: "https://e/x.git", revision: "main", commit: "1234" }, node_labels: { zone: "a" }, device_kind: "gpu", device_name: "h100", device_memory_bytes: 2 ** 30,
  memory_bytes: null, min_devices: 1, max_devices: 4, launcher: "torchrun", max_nodes: 4, keep: "batch", priority: 7, max_retries: 2,
} as JobRequest;

it("asks for an old job again by its form, and keeps what the form does not show", () => {
  const form = formOf(old);
  expect(formFields(form, splitWords(form.line).words, { A: "1" })).toEqual({
    argv: old.argv, name: "wide", env: { A: "1" }, cwd: "/code", device_kind: "gpu", min_devices: 1, max_devices: 4, priority: 7, max_retries: 2,
  });
  expect(wishFields(wishesOf(old), { zone: "a" })).toEqual({ device_name: "h100", device_memory_bytes: 2 ** 30, node_labels: { zone: "a" } });
  expect(keptOf(old, 2)).toEqual({
    config: { lr: 1 }, tags: ["x"], launcher: "torchrun", max_nodes: 2, keep: "batch", working_copy: "f00", git: { url: "https://e/x.git", revision: "1234" },
  });
  expect(keptOf(null, 2)).toEqual({});
});

it("asks for at most as many devices as for at least", () => expect(formFields({ ...newForm(), least: 3 }, [], {}).max_devices).toBe(3));

it.each([
  [justOne(), {}], [{ ...justOne(), kind: "grid" as const, atOnce: 2 }, { grid: { lr: ["1"] }, at_once: 2 }], [{ ...justOne(), kind: "array" as const, array: " 0-9 " }, { array: "0-9" }],
])("makes many of %o", (many, fields) => expect(manyFields(many, { lr: ["1"] })).toEqual(fields));

it("takes a deadline in the person's zone, which need not be the browser's", () => {
  tellIn("Asia/Shanghai");
  expect(wishFields({ ...noWishes(), deadline: "2026-03-05T20:30" }, {})).toEqual({ deadline: "2026-03-05T12:30:00.000Z" });
  tellIn("");
});
