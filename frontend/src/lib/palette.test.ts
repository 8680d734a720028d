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

it("shows everything in its own order before anything is typed", () => expect(found(" ")).toEqual(entries.map(({ label }) => label)));
