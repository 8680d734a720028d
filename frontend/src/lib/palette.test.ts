import { expect, it } from "vitest";
import { rank } from "./palette";

const entries = ["Queue", "Submit a job", "digits: queue of rates", "bold-otter", "Settings"].map((label) => ({ label }));
const found = (typed: string) => rank(entries, typed).map(({ label }) => label);

it.each([
  ["queue", ["Queue", "digits: queue of rates"]],
  ["ott", ["bold-otter"]],
  ["smt", ["Submit a job"]], // letters in their order
  ["rates digits", ["digits: queue of rates"]],
  ["zzz", []],
])("answers %j with %j", (typed, labels) => expect(found(typed)).toEqual(labels));

it("finds what is known by other words too, after what has them in its name", () => {
  const nodes = [{ label: "node-a", also: "rack-7.lab gpu=h100" }, { label: "rack", also: "" }];
  expect(rank(nodes, "rack").map(({ label }) => label)).toEqual(["rack", "node-a"]);
  expect(rank(nodes, "h100 node").map(({ label }) => label)).toEqual(["node-a"]);
  expect(rank(nodes, "a100")).toEqual([]);
});

it("shows everything in its own order before anything is typed", () => expect(found(" ")).toEqual(entries.map(({ label }) => label)));
