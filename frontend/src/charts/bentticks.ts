/** Where the ticks of a bent axis stand: at powers of ten, as many as there is room for, however many powers it spans. */
import type { Scale } from "./look";
import { shareOf } from "./projection";

const STRIDES = [1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300];
const FEWEST = 2; // ticks; with less an axis cannot be read between them

/** Ticks from `low` to `high`, at most `most` of them, lowest first. */
export function bentTicks(scale: Exclude<Scale, "linear">, [low, high]: [number, number], threshold: number, most: number): number[] {
  const share = shareOf(scale, [low, high], threshold);
  const inside = (value: number) => value >= low * (low > 0 ? 1 - 1e-9 : 1 + 1e-9) && value <= high * (high > 0 ? 1 + 1e-9 : 1 - 1e-9);
  const apart = 1 / Math.max(1, most); // of the axis' length
  const powers = scale === "log" ? logPowers(low, high, most) : symlogPowers(low, high, threshold, most);
  // The farthest out come first: near zero a symlog axis is crowded, and zero itself matters most there.
  const wanted = [...(inside(0) && scale === "symlog" ? [0] : []), ...powers.filter(inside).sort((a, b) => Math.abs(b) - Math.abs(a))];
  const taken: number[] = [];
  for (const tick of wanted) if (taken.every((other) => Math.abs(share(other) - share(tick)) >= apart * 0.7)) taken.push(tick);
  return (taken.length < FEWEST ? filled(low, high, most, share, taken) : taken).sort((a, b) => a - b);
}

function logPowers(low: number, high: number, most: number): number[] {
  const [from, to] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  if ((Math.log10(high) - Math.log10(low)) * 3 <= most) return range(from, to, 1).flatMap((power) => [1, 2, 5].map((m) => ten(power, m)));
  return range(from, to, stride(Math.log10(high) - Math.log10(low), most)).map((power) => ten(power));
}

function symlogPowers(low: number, high: number, threshold: number, most: number): number[] {
  const decades = (end: number) => Math.max(0, Math.log10(Math.max(end, threshold)) - Math.log10(threshold));
  const step = stride(decades(high) + decades(-low), most - 1);
  const first = Math.round(Math.log10(threshold));
  const side = (end: number, sign: 1 | -1) => (end > 0 ? range(first, Math.ceil(Math.log10(end)), step).map((power) => sign * ten(power)) : []);
  return [...side(high, 1), ...side(-low, -1)];
}

/** So few powers of ten lie in a short axis that round values between them are needed. */
function filled(low: number, high: number, most: number, share: (value: number) => number, taken: number[]): number[] {
  const size = (high - low) / Math.max(2, most);
  const power = Math.floor(Math.log10(size));
  const by = [1, 2, 5, 10].map((m) => ten(power, m)).find((step) => step >= size * 0.6) ?? size;
  const out = [...taken];
  for (let i = Math.ceil(low / by); i * by <= high * (1 + 1e-12) && out.length < 2 * most; i += 1) {
    const tick = Number((i * by).toPrecision(12));
    if (out.every((other) => Math.abs(share(other) - share(tick)) >= 0.7 / Math.max(2, most))) out.push(tick);
  }
  return out;
}

const stride = (decades: number, most: number): number => STRIDES.find((each) => decades / each <= Math.max(1, most)) ?? STRIDES[STRIDES.length - 1];
/** By its text: 10 ** -5 is not the number that 1e-5 is. */
const ten = (power: number, times = 1): number => Number(`${times}e${power}`);

/** Multiples of `step`, so that an axis that grows keeps the ticks it has. */
function range(from: number, to: number, step: number): number[] {
  const first = Math.ceil(from / step) * step;
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, i) => first + i * step);
}
