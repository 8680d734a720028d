import { expect, it } from "vitest";
import { isDrawn, wordsOf } from "./cells";
import type { RunRow } from "./table";

const run = (more: object): RunRow => ({ code: "a", name: "a", state: "finished", config: { lr: 0.1, depth: 2, long: 0.123456789012 }, summary: { loss: 0.5 }, ...more }) as RunRow;
const base = run({ code: "b", config: { lr: 0.1, depth: 3 }, summary: { loss: 1 } });

it.each([
  ["config:lr", { text: "0.1", title: "0.1" }], ["config:long", { text: "0.12346", title: "0.123456789012" }], ["config:none", { text: "" }],
  ["metric:loss", { text: "0.5" }], ["metric:none", { text: "" }], ["last_step", { text: "1,234" }], ["cost", { text: "1.5 EUR" }],
  ["device_seconds", { text: "1 m 30 s" }], ["energy_joules", { text: "1 kWh" }], ["group", { text: "grid", title: "grid" }],
])("says %s", (column, words) => expect(wordsOf(run({ last_step: 1234, usage: { cost: 1.5, currency: "EUR", device_seconds: 90, energy_joules: 3.6e6 }, group: "grid" }), column, null)).toEqual(words));

it("marks what is not finite, and what differs from the baseline", () => {
  expect(wordsOf(run({ summary: { loss: "NaN" } }), "metric:loss", base)).toEqual({ text: "NaN", look: "bad" });
  expect(wordsOf(run({}), "metric:loss", base)).toEqual({ text: "0.5", by: "−50 %" });
  expect(wordsOf(run({}), "config:depth", base)).toEqual({ text: "2", title: "2", look: "differs" });
  expect(wordsOf(run({}), "config:lr", base)).toEqual({ text: "0.1", title: "0.1" });
  expect(wordsOf(base, "metric:loss", base)).toEqual({ text: "1" }); // not from itself
});

it("leaves what is more than a text to what draws it", () =>
  expect(["state", "progress", "tags", "created_at", "metric:loss"].map(isDrawn)).toEqual([true, true, true, true, false]));
