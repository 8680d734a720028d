import { expect, it } from "vitest";
import type { Offer } from "../api/types";
import { canMeasure, isMeasured, measuredRows, valueOfOffer } from "./algorithm";

const side = (accuracy: number, size: number, latency: number) => ({ size_bytes: size, packed_bytes: size, nonzero_ratio: 1, latency_seconds: latency, metrics: { "val/loss": 0.2, "val/accuracy": accuracy } });
const table = { metric: "val/accuracy", bound: 0.01, worse: 0.005, within: true, before: side(0.98, 4096, 0.004), after: { ...side(0.975, 4096, 0.002), nonzero_ratio: 0.7, packed_bytes: 3000 } };

it("puts the metric that decides first and tells what is gained", () => {
  expect(measuredRows(table).map(({ what, change, judged }) => [what, change, judged])).toEqual([
    ["val/accuracy", "−0.51 %", true], ["val/loss", "", false], ["size", "", false], ["size without zeros", "−26.8 %", false],
    ["weights that are not zero", "−30 %", false], ["time of the example batch", "−50 %", false],
  ]);
  expect([isMeasured(table), isMeasured(null), isMeasured("x")]).toEqual([true, false, false]);
});

const offer: Offer = {
  verb: "prune", description: "",
  parameters: [
    { name: "amount", kind: "float", value: 0.3, low: 0, high: 0.99, choices: [], description: "" },
    { name: "structured", kind: "bool", value: false, low: null, high: null, choices: [], description: "" },
    { name: "dry", kind: "bool", value: false, low: null, high: null, choices: [], description: "" },
  ],
};

it("reads a form within the offer's bounds, and leaves what was not touched as it was offered", () => {
  expect(valueOfOffer(offer, { amount: "0.5", dry: true })).toEqual({ value: { amount: 0.5, structured: false, dry: true }, wrong: {} });
  expect(valueOfOffer(offer, { amount: "2" }).wrong.amount).toContain("between 0 and 0.99");
  expect(valueOfOffer(offer, { amount: "much" }).wrong.amount).toContain("not a number");
  expect([canMeasure(offer), canMeasure({ ...offer, parameters: [] })]).toEqual([true, false]);
});
