/** From values to places on an axis and back: linear, logarithmic, and linear about zero but logarithmic far from it. */
import type { Scale } from "./look";
import type { ShownLine } from "./lines";

/** Where a value lies between an axis' ends, 0 to 1; `threshold` is where symlog turns from linear to logarithmic. */
export function shareOf(scale: Scale, [low, high]: [number, number], threshold: number): (value: number) => number {
  const bend = scale === "log" ? Math.log10 : scale === "symlog" ? (value: number) => Math.asinh(value / threshold) : (value: number) => value;
  const start = bend(low);
  const length = bend(high) - start;
  return (value) => (bend(value) - start) / length;
}

/** Where symlog is to bend: a power of ten that holds the smallest twentieth of the values, so that it seldom changes. */
export function symlogThreshold(lines: ShownLine[]): number {
  const sizes: number[] = [];
  let largest = 0;
  for (const { columns } of lines) {
    for (let i = 0; i < columns.mean.length; i++) {
      const size = Math.abs(columns.mean[i]);
      if (!(size > 0) || !Number.isFinite(size)) continue;
      sizes.push(size);
      if (size > largest) largest = size;
    }
  }
  if (!sizes.length) return 1;
  const sorted = Float64Array.from(sizes).sort();
  const small = sorted[Math.floor(sorted.length * 0.05)];
  // More than five decades of empty axis about zero would leave no room for the values themselves.
  return 10 ** Math.floor(Math.log10(Math.max(small, largest * 1e-5)));
}
