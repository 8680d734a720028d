/** Where in a log somebody wants to go: "14:05", "27 Nov 14:05:30", "2026-11-27 14:05", "step 1,200". */
import { dayOf, momentAt } from "./when";

export type LogTarget = { step: number } | { time: number }; // time: milliseconds since the epoch

const CLOCK = String.raw`(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?`;
const STEP = /^(?:steps?|\u6b65\u6570|\u7b2c)?\s*(\d[\d,\s]*?)\s*\u6b65?$/i;
const TIME = new RegExp(`^${CLOCK}$`);
// As ISO 8601 has it, as Chinese does, and as the page itself tells a date.
const DATES = [
  new RegExp(String.raw`^(?<year>\d{4})[-/.](?<month>\d{1,2})[-/.](?<day>\d{1,2})(?:[T\s,]+${CLOCK})?$`, "i"),
  new RegExp(String.raw`^(?:(?<year>\d{4})\u5e74\s*)?(?<month>\d{1,2})\u6708\s*(?<day>\d{1,2})\u65e5(?:[\s,]*${CLOCK})?$`),
  new RegExp(String.raw`^(?<day>\d{1,2})\s+(?<name>[a-z]{3,9})\.?,?(?:\s+(?<year>\d{4}))?(?:[\s,]+${CLOCK})?$`, "i"),
];
const WITH_ZONE = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s*(?:Z|[+-]\d{2}:?\d{2})$/i;
const ZONE_NAME = /\s+(?:GMT|UTC)?[+-]?\d{0,2}(?::\d{2})?$|\s+[A-Z]{2,5}$/; // at the end of a time that was copied from the page
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/** What was meant; null for what is neither. A time without its day or year is that nearest to the log's. first, last: the times of its lines. */
export function logTarget(text: string, first: number, last: number): LogTarget | null {
  const wanted = text.trim();
  const step = STEP.exec(wanted);
  if (step) {
    const number = Number(step[1].replaceAll(/[,\s]/g, ""));
    return Number.isSafeInteger(number) ? { step: number } : null;
  }
  if (WITH_ZONE.test(wanted)) {
    const time = Date.parse(wanted.replace(" ", "T").replaceAll(" ", ""));
    return Number.isNaN(time) ? null : { time };
  }
  return moment(wanted, first, last) ?? moment(wanted.replace(ZONE_NAME, ""), first, last);
}

function moment(text: string, first: number, last: number): LogTarget | null {
  const years = range(dayOf(first)[0] - 1, dayOf(last)[0] + 1);
  const time = TIME.exec(text);
  if (time) {
    const clock = clockOf(time.slice(1));
    // The last day, the day before and the one after: further ones are further away, or as near and older.
    return clock && nearest([last - 86_400_000, last, last + 86_400_000, first].map((at) => momentAt(...dayOf(at), ...clock)), first, last);
  }
  for (const form of DATES) {
    const found = form.exec(text);
    if (!found?.groups) continue;
    const { year, month, day, name } = found.groups;
    const number = name ? MONTHS.indexOf(name.slice(0, 3).toLowerCase()) + 1 : Number(month);
    const clock = clockOf(found.slice(-3));
    const dated = (year ? [Number(year)] : years).filter((each) => isDay(each, number, Number(day)));
    return clock && dated.length ? nearest(dated.map((each) => momentAt(each, number, Number(day), ...clock)), first, last) : null;
  }
  return null;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Hour, minute and second; midnight where no time was given. */
function clockOf(parts: (string | undefined)[]): [number, number, number] | null {
  const [hour, minute, second] = parts.map((part) => Number(part ?? 0));
  return hour < 24 && minute < 60 && second < 60 ? [hour, minute, second] : null;
}

function isDay(year: number, month: number, day: number): boolean {
  const at = new Date(Date.UTC(year, month - 1, day));
  return at.getUTCMonth() === month - 1 && at.getUTCDate() === day;
}

/** The latest of those that lie nearest to the log. */
function nearest(moments: number[], first: number, last: number): LogTarget {
  const off = (at: number) => Math.max(first - at, at - last, 0);
  return { time: moments.sort((a, b) => off(a) - off(b) || b - a)[0] };
}
