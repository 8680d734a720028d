/** The picture beside a verdict: what was forecast without the change, what was measured, and what was left behind. */
import type { Decision } from "../api/types";
import { lowerIndex, type Columns } from "./columns";

export interface ForecastPicture {
  band: string; // the points of an SVG polygon, of polylines the others
  forecast: string;
  measured: string;
  left: string[]; // branches that a roll back left behind: before the change, these were the run
  at: number; // where the decision was made
  from: number; // steps
  to: number;
}

const LEAD = 0.6; // of the forecast's length, shown before it
const LEFT_SHARE = 0.6; // of the height, that what was left behind may add above and below

type Pair = [step: number, value: number];

/** Of what a decision's policy looked at, where nothing could be forecast from it (a metric that was no number any more). */
function seenSteps({ evidence, decided_step, judge_at_step }: Pick<Decision, "evidence" | "decided_step" | "judge_at_step">): [number, number] | null {
  const window = evidence.window;
  const first = Array.isArray(window) && typeof window[0] === "number" ? window[0] : null;
  if (first === null) return null;
  const end = Math.max(judge_at_step, decided_step + 1);
  // What was healthy before the trouble is part of what was seen.
  return [Math.max(0, Math.min(first, decided_step - (end - decided_step))), end];
}

/** Null where neither a forecast nor a window of steps was kept. */
export function forecastPicture(
  decision: Pick<Decision, "forecast" | "decided_step" | "evidence" | "judge_at_step">,
  line: { columns: Columns; faded: Columns[] } | null,
  width: number,
  height: number,
): ForecastPicture | null {
  const whole = decision.forecast;
  const hasForecast = (whole.steps?.length ?? 0) > 1 && whole.mean?.length === whole.steps?.length;
  const { steps = [], mean = [], low = mean, high = mean } = hasForecast ? whole : {};
  const seen = hasForecast ? null : seenSteps(decision);
  if (!hasForecast && !seen) return null;
  const [from, to] = seen ?? [Math.max(0, steps[0] - (steps[steps.length - 1] - steps[0]) * LEAD), steps[steps.length - 1]];
  const measured = line ? within(line.columns, from, to) : [];
  const behind = seen ? (line?.faded ?? []).flatMap((columns) => within(columns, from, decision.decided_step)).map(([, y]) => y) : [];
  const ends = [...low, ...high, ...measured.map(([, y]) => y), ...behind].filter(Number.isFinite);
  if (!ends.length) return null;
  let [bottom, top] = [Math.min(...ends), Math.max(...ends)];
  // Often it was an explosion: it may widen the picture, but not press the rest flat.
  const air = (top - bottom) * LEFT_SHARE;
  const [floor, ceiling] = [bottom - air, top + air];
  const left = (line?.faded ?? [])
    .map((columns) => within(columns, from, Math.min(to, decision.decided_step)).map(([step, y]): Pair => [step, Math.min(ceiling, Math.max(floor, y))]))
    .filter((pairs) => pairs.length > 1);
  for (const [, y] of left.flat()) [bottom, top] = [Math.min(bottom, y), Math.max(top, y)];

  const px = (step: number) => ((step - from) / (to - from)) * width;
  const py = (y: number) => height - 4 - ((y - bottom) / (top - bottom || 1)) * (height - 8);
  const points = (pairs: Pair[]) => pairs.map(([step, y]) => `${px(step).toFixed(1)},${py(y).toFixed(1)}`).join(" ");
  const pair = (ys: number[]) => steps.map((step, i): Pair => [step, ys[i]]);
  return {
    band: points([...pair(high), ...pair(low).reverse()]), forecast: points(pair(mean)), measured: points(measured), left: left.map(points),
    at: px(decision.decided_step), from, to,
  };
}

function within(columns: Columns, from: number, to: number): Pair[] {
  const out: Pair[] = [];
  const { step, mean } = columns;
  for (let i = Math.max(0, lowerIndex(step, from)); i < step.length && step[i] <= to; i++) {
    if (step[i] >= from && Number.isFinite(mean[i])) out.push([step[i], mean[i]]);
  }
  return out;
}
