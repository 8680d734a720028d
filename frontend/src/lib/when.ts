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
