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
