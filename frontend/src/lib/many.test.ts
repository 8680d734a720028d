import { expect, it } from "vitest";
import type { BulkResult, Tunable } from "../api/types";
import { bulkRequest, common, resultWords, type BulkForm } from "./many";

const tunable = (name: string, kind = "float") => ({ name, kind, value: 0.1, low: 1e-6, high: 1, choices: [] }) as unknown as Tunable;
const form = (fields: Partial<BulkForm>): BulkForm => ({ verb: "set", tunable: "lr", how: "value", amount: "", reason: "", ...fields });

it("offers what most runs declare first", () => {
  expect(common([[tunable("clip")], [tunable("clip"), tunable("lr")], [tunable("lr"), tunable("clip")]]).map((each) => [each.tunable.name, each.among])).toEqual([["clip", 3], ["lr", 2]]);
});

it.each<[Partial<BulkForm>, object, boolean]>([
  [{ amount: "0.01", reason: " slower " }, { verb: "set", tunable: "lr", value: 0.01, reason: "slower" }, true],
  [{ amount: "0.5", how: "factor" }, { verb: "set", tunable: "lr", factor: 0.5 }, true],
  [{ amount: "1", how: "factor" }, {}, false],
  [{ amount: "7" }, {}, false],
  [{ amount: "fast" }, {}, false],
  [{ verb: "pause" }, { verb: "pause" }, true],
])("asks for %j", (fields, request, right) => {
  const read = bulkRequest(form(fields), tunable("lr"));
  expect(!read.wrong).toBe(right);
  expect(read.request).toMatchObject(request);
});

it("tells for each run what came of it", () => {
  expect(resultWords({ run: "a", command: null, problem: "the run has ended" })).toBe("the run has ended");
  expect(resultWords({ run: "a", command: { verb: "set", tunable: "lr", value: 0.05 }, problem: "" } as unknown as BulkResult)).toBe("asked for lr 0.05");
});
