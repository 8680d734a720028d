/** Fields of date and time in the person's zone, which need not be the browser's. */
import { zoneTold } from "./when";

/** A moment as such a field has it: "2026-03-05T14:05". Milliseconds since the epoch; "" where it is none. */
export function fieldOf(at: number): string {
  if (!Number.isFinite(at)) return "";
  const form = new Intl.DateTimeFormat("en", { timeZone: zoneTold(), hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" });
  const { year, month, day, hour, minute } = Object.fromEntries(form.formatToParts(at).map(({ type, value }) => [type, value]));
  return `${year}-${month}-${day}T${hour}:${minute}`;
}

/** The moment that such a field says; NaN where it is empty. An hour that a change of the clock leaves out is the one after it. */
export function momentOf(field: string): number {
  const asUtc = Date.parse(`${field}Z`);
  const behind = (at: number) => asUtc - (Date.parse(`${fieldOf(at)}Z`) - Math.floor(at / 60_000) * 60_000);
  // The offset is asked for where the moment is: near a change of the clock the first answer is of its other side.
  return Number.isNaN(asUtc) ? NaN : behind(behind(asUtc));
}
