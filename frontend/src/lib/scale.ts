/** Where a tunable's value sits on its slider, and back. A slider runs from 0 to 1. */
export interface Range {
  low: number;
  high: number;
  scale: "linear" | "log";
  whole?: boolean;
}

/** 0..1 for a value; values outside are held at the ends. A log scale from 0 starts six decades below its top. */
export function toPosition(value: number, range: Range): number {
  const { low, high } = floor(range);
  if (!(high > low)) return 0;
  const at =
    range.scale === "log"
      ? (Math.log(Math.max(value, low)) - Math.log(low)) / (Math.log(high) - Math.log(low))
      : (value - low) / (high - low);
  return Math.min(1, Math.max(0, at));
}

/** The value at a position, rounded to what a slider can mean: three digits, or a whole number. */
export function fromPosition(position: number, range: Range): number {
  if (position <= 0) return range.low;
  if (position >= 1) return range.high;
  const { low, high } = floor(range);
  const raw = range.scale === "log" ? low * (high / low) ** position : low + (high - low) * position;
  return clamp(range.whole ? Math.round(raw) : Number(raw.toPrecision(3)), range);
}

export const clamp = (value: number, range: { low: number; high: number }): number =>
  Math.min(range.high, Math.max(range.low, value));

function floor(range: Range): { low: number; high: number } {
  if (range.scale === "log" && range.low <= 0) return { low: range.high * 1e-6, high: range.high };
  return range;
}

/** A number as a person types it: "1e-3", "0.001", " 64 ". Null for anything else; a comma is not guessed at. */
export function parseNumber(text: string): number | null {
  const trimmed = text.trim();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(trimmed)) return null;
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : null;
}
