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

/** Null where nothing could be forecast: a metric that was not a number any more has no mean. */
export function forecastPicture(
  decision: Pick<Decision, "forecast" | "decided_step">,
  line: { columns: Columns; faded: Columns[] } | null,
  width: number,
  height: number,
): ForecastPicture | null {
  const { steps = [], mean = [], low = mean, high = mean } = decision.forecast;
  if (steps.length < 2 || mean.length !== steps.length) return null;
  const to = steps[steps.length - 1];
  const from = Math.max(0, steps[0] - (to - steps[0]) * LEAD);
  const measured = line ? within(line.columns, from, to) : [];
  const ends = [...low, ...high, ...measured.map(([, y]) => y)].filter(Number.isFinite);
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
