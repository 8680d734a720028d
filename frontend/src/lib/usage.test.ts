import { expect, it } from "vitest";
import { usageWords } from "./usage";

it("tells device time, money and energy, and how much of it was read", () => {
  expect(usageWords({ device_seconds: 7200, cost: 6.4, currency: "EUR", energy_joules: 3.6e6, energy_covered_ratio: 1 })).toEqual({ time: "2 h 00 m", cost: "6.4 EUR", energy: "1 kWh" });
  expect(usageWords({ device_seconds: 60, cost: null, currency: "", energy_joules: 36_000, energy_covered_ratio: 0.5 })).toEqual({ time: "1 m 00 s", cost: "", energy: "10 Wh, 50 % of the time read" });
  expect([usageWords(null), usageWords({ device_seconds: 0 })]).toEqual(Array(2).fill({ time: "", cost: "", energy: "" }));
});
