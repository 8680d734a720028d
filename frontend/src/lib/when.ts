/** Dates and times of day in the person's language and zone. */
import { spoken } from "./i18n";

type Style = "date" | "day" | "minute" | "second" | "full";
const STYLES: Record<Style, Intl.DateTimeFormatOptions> = {
  date: { year: "numeric", month: "short", day: "numeric" },
  day: { month: "short", day: "numeric" },
  minute: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  second: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  full: { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short" },
};

let zone: string | undefined; // undefined is the browser's
const made = new Map<string, Intl.DateTimeFormat>();

export const browserZone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Tell times in this zone (an IANA name), or in the browser's where it is "" or unknown to the browser. */
export function tellIn(name: string): void {
  zone = name && isZone(name) ? name : undefined;
}

export const zoneTold = (): string | undefined => zone;

export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** All zones the browser knows, by name. */
export const zones = (): string[] => Intl.supportedValuesOf("timeZone");

/** Milliseconds since the epoch, a Date or an ISO text; "" where it is none. */
export function when(at: number | string | Date, style: Style): string {
  const date = at instanceof Date ? at : new Date(at);
  return Number.isNaN(date.getTime()) ? "" : formatter(style).format(date);
}

/** Whether two moments are on the same day in the person's zone. */
export const sameDay = (a: number | Date, b: number | Date): boolean => formatter("date").format(a) === formatter("date").format(b);

/** What a clock in the person's zone shows, as if it were UTC: milliseconds since the epoch. */
function shown(at: number): number {
  const name = `clock ${zone}`;
  let found = made.get(name);
  if (!found) {
    const parts = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric", hourCycle: "h23" } as const;
    made.set(name, (found = new Intl.DateTimeFormat("en-US", { ...parts, timeZone: zone })));
  }
  const told = Object.fromEntries(found.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(told.year, told.month - 1, told.day, told.hour, told.minute, told.second);
}

/** The day in the person's zone: [year, month from 1 on, day of the month]. */
export function dayOf(at: number): [number, number, number] {
  const there = new Date(shown(at));
  return [there.getUTCFullYear(), there.getUTCMonth() + 1, there.getUTCDate()];
}

/** When a clock in the person's zone shows this; the earlier moment where it does twice, the time after the gap where it never does. */
export function momentAt(year: number, month: number, day: number, hour = 0, minute = 0, second = 0): number {
  const wanted = Date.UTC(year, month - 1, day, hour, minute, second);
  // Zones are within 14 hours of UTC: what is ahead of it on the day before and after are the only two that it may be.
  const [before, after] = [wanted - 86_400_000, wanted + 86_400_000].map((at) => shown(at) - at);
  const found = [wanted - before, wanted - after].filter((at) => shown(at) === wanted);
  return found.length ? Math.min(...found) : wanted - before;
}

function formatter(style: Style): Intl.DateTimeFormat {
  const locale = spoken() === "zh" ? "zh-CN" : "en-GB"; // one English: the day before the month, written in letters
  const name = `${locale} ${zone} ${style}`;
  let found = made.get(name);
  if (!found) {
    found = new Intl.DateTimeFormat(locale, { ...STYLES[style], timeZone: zone });
    made.set(name, found);
  }
  return found;
}
