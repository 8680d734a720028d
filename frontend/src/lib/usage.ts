/** What a run used, in a few words; "" for what is not known. */
import type { Usage } from "../api/types";
import { duration, number } from "./format";
import { t } from "./i18n";

const JOULES_A_KWH = 3.6e6;

export interface UsageWords {
  time: string;
  cost: string;
  energy: string;
}

export function usageWords(usage: Usage | null | undefined): UsageWords {
  if (!usage?.device_seconds) return { time: "", cost: "", energy: "" };
  const { device_seconds, cost, currency, energy_joules, energy_covered_ratio } = usage;
  const kwh = typeof energy_joules === "number" ? energy_joules / JOULES_A_KWH : null;
  const covered = typeof energy_covered_ratio === "number" && energy_covered_ratio < 0.95 ? t(", {n} % of the time read", { n: Math.round(100 * energy_covered_ratio) }) : "";
  return {
    time: duration(device_seconds),
    cost: typeof cost === "number" ? `${number(cost, 3)} ${currency ?? ""}`.trim() : "",
    energy: kwh === null ? "" : `${kwh < 0.1 ? `${number(1000 * kwh, 3)} Wh` : `${number(kwh, 3)} kWh`}${covered}`,
  };
}
