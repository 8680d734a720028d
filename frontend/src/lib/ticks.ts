import { sameDay, when } from "./when";

/** Round steps for an axis of training steps: 1, 2 or 5 times a power of ten, never a fraction of a step. */
export const STEP_INCREMENTS: number[] = Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((m) => m * 10 ** power)).flat();

/** Round lengths of time in seconds. */
export const SECOND_INCREMENTS: number[] = [
  1e-3, 1e-2, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
  172_800, 604_800, 2_592_000, 31_536_000,
];

export function stepLabel(step: number): string {
  if (!Number.isInteger(step)) return "";
  if (Math.abs(step) >= 1e6) return `${Number((step / 1e6).toPrecision(4))}M`;
  if (Math.abs(step) >= 1e4) return `${Number((step / 1e3).toPrecision(4))}k`;
  return String(step);
}

/** Times of day for ticks at seconds since the epoch, as short as their distance allows; the date where a day begins. */
export function clockLabels(ticks: number[]): string[] {
  const apart = ticks.length > 1 ? ticks[1] - ticks[0] : 60;
  return ticks.map((tick, i) => {
    const fresh = i > 0 && !sameDay(tick * 1000, ticks[i - 1] * 1000);
    return when(tick * 1000, apart >= 86_400 || fresh ? "day" : apart < 60 ? "second" : "minute");
  });
}

/** The short form of a length of time that fits under a tick: 30s, 5m, 1h30, 2d. */
export function secondsLabel(seconds: number): string {
  if (seconds < 0) return `-${secondsLabel(-seconds)}`;
  if (seconds < 60) return `${Number(seconds.toPrecision(3))}s`;
  if (seconds < 3600) {
    const rest = Math.round(seconds % 60);
    return rest ? `${Math.floor(seconds / 60)}m${String(rest).padStart(2, "0")}` : `${seconds / 60}m`;
  }
  if (seconds < 86_400) {
    const rest = Math.round((seconds % 3600) / 60);
    return rest ? `${Math.floor(seconds / 3600)}h${String(rest).padStart(2, "0")}` : `${Math.floor(seconds / 3600)}h`;
  }
  return `${Number((seconds / 86_400).toPrecision(3))}d`;
}
