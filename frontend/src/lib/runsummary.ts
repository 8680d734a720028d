/** What a run's metrics came to: one row a metric, the one that its experiment is about on top. */
import type { Experiment, KeyInfo, Run } from "../api/types";
import { cell } from "./columns";
import { matchKeys } from "./keys";

export interface MetricRow {
  key: string;
  last: number; // NaN also where that is what was logged
  step: number | null; // of the last point
  low: number | null;
  high: number | null;
  points: number;
  nonFinite: number;
}

const RANKS = (key: string, goal: string): number => (key === goal ? 0 : key.startsWith("_") ? 2 : 1);

/** `summary`: the newest values, which come live; the rest is as it was read last. */
export function metricRows(infos: readonly KeyInfo[], summary: Run["summary"], goal: string): MetricRow[] {
  const { compare } = new Intl.Collator("en", { numeric: true });
  return infos
    .map(({ key, last_value, last_step, low, high, points, non_finite }) => ({ key, last: cell(key in summary ? summary[key] : last_value), step: last_step, low, high, points, nonFinite: non_finite }))
    .sort((a, b) => RANKS(a.key, goal) - RANKS(b.key, goal) || compare(a.key, b.key));
}

export function matchRows(rows: MetricRow[], text: string): { rows: MetricRow[]; error: string } {
  const { keys, error } = matchKeys(rows.map(({ key }) => key), text);
  const kept = new Set(keys);
  return { rows: rows.filter(({ key }) => kept.has(key)), error };
}

export interface Standing {
  metric: string;
  lowest: boolean; // the lower the better
  best: number | null;
  last: number | null;
  target: number | null;
  reached: boolean;
}

/** How far a run has come towards its experiment's goal; null where that has none. */
export function standingOf(experiment: Pick<Experiment, "goal_metric" | "goal_direction" | "goal_target">, rows: readonly MetricRow[]): Standing | null {
  const { goal_metric: metric, goal_direction, goal_target: target } = experiment;
  if (!metric) return null;
  const lowest = goal_direction === "min";
  const row = rows.find(({ key }) => key === metric);
  const best = (lowest ? row?.low : row?.high) ?? null;
  return { metric, lowest, best, last: row ? row.last : null, target, reached: best !== null && target !== null && (lowest ? best <= target : best >= target) };
}

/** A search of the charts that finds this metric and no other. */
export const onlyThis = (key: string): string => `/^${key.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")}$/`;
