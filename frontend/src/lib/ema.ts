/**
 * Exponential smoothing without start-up bias: `last = w * last + (1 - w) * y`, shown as `last / (1 - w^n)`.
 *
 * `weight` is 0 (off) to below 1. Values that are not finite pass through unchanged and do not count, so one NaN
 * does not swallow the rest of the line. A constant stays exactly that constant.
 */
export function smooth(values: ArrayLike<number>, weight: number): number[] {
  const out = new Array<number>(values.length);
  const constant = isConstant(values);
  let last = 0;
  let bias = 1;
  for (let i = 0; i < values.length; i++) {
    const y = values[i];
    if (!Number.isFinite(y) || weight <= 0 || constant) {
      out[i] = y;
      continue;
    }
    last = weight * last + (1 - weight) * y;
    bias *= weight;
    out[i] = last / (1 - bias);
  }
  return out;
}

/**
 * The same by distance on the axis instead of by count: a point as far away as two neighbours are apart on average
 * counts `weight` times as much as one here. Where points are evenly apart, that is `smooth`; after a pause the line
 * forgets what was before it.
 */
export function smoothOver(values: ArrayLike<number>, x: ArrayLike<number>, weight: number): number[] {
  const out = new Array<number>(values.length);
  const constant = isConstant(values);
  const usual = values.length > 1 ? (x[x.length - 1] - x[0]) / (values.length - 1) : 0;
  let last = 0;
  let norm = 0;
  let at = NaN;
  for (let i = 0; i < values.length; i++) {
    const y = values[i];
    if (!Number.isFinite(y) || weight <= 0 || constant || !(usual > 0)) {
      out[i] = y;
      continue;
    }
    const kept = Number.isNaN(at) ? 0 : weight ** ((x[i] - at) / usual);
    last = kept * last + y;
    norm = kept * norm + 1;
    at = x[i];
    out[i] = last / norm;
  }
  return out;
}

const LEFT_OUT = 0.001; // of the weight of all that came before
const MOST_BEFORE = 700; // points

/** After how many points what came before them counts no more; 0 where nothing is smoothed. */
export const pointsBefore = (weight: number): number => (weight > 0 ? Math.min(MOST_BEFORE, Math.ceil(Math.log(LEFT_OUT) / Math.log(weight))) : 0);

function isConstant(values: ArrayLike<number>): boolean {
  let first: number | undefined;
  for (let i = 0; i < values.length; i++) {
    const y = values[i];
    if (!Number.isFinite(y)) continue;
    if (first === undefined) first = y;
    else if (y !== first) return false;
  }
  return true;
}
