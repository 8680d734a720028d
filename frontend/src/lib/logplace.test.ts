import { afterEach, beforeEach, expect, it } from "vitest";
import { logTarget } from "./logplace";
import { tellIn } from "./when";

// In Shanghai: from 27 Nov 2026, 22:00 to 28 Nov, 03:00.
const FIRST = Date.UTC(2026, 10, 27, 14);
const LAST = Date.UTC(2026, 10, 27, 19);
const at = (day: number, hour: number, minute = 0, second = 0) => ({ time: Date.UTC(2026, 10, day, hour - 8, minute, second) });
const target = (text: string) => logTarget(text, FIRST, LAST);

beforeEach(() => tellIn("Asia/Shanghai"));
afterEach(() => tellIn(""));

it.each([
  ["1200", 1200],
  [" 1,200 ", 1200],
  ["step 0", 0],
  ["Step 12 000", 12_000],
  ["\u7b2c 1200 \u6b65", 1200],
])("%j is a step", (text, step) => expect(target(text)).toEqual({ step }));

it.each([
  ["23:05", at(27, 23, 5)], // the day before the log's end: the only one that lies in it
  ["2:30:05", at(28, 2, 30, 5)],
  ["02:30:05,123", at(28, 2, 30, 5)],
  ["21:00", at(27, 21)], // an hour before the log, not eighteen after it
  ["04:00", at(28, 4)],
  ["2026-11-27 23:05", at(27, 23, 5)],
  ["2026-11-27T23:05:30", at(27, 23, 5, 30)],
  ["2026/11/28", at(28, 0)],
  ["27 Nov 23:05", at(27, 23, 5)],
  ["27 Nov 2026, 23:05:30 GMT+8", at(27, 23, 5, 30)], // as the page tells it
  ["27 November 2026 23:05 CST", at(27, 23, 5)],
  ["2026\u5e7411\u670827\u65e5 23:05:30 GMT+8", at(27, 23, 5, 30)],
  ["11\u670827\u65e5 23:05", at(27, 23, 5)],
  ["2026-11-27T15:05:30Z", at(27, 23, 5, 30)],
  ["2026-11-27 17:05 +02:00", at(27, 23, 5)],
])("%j is a time of the person's zone", (text, moment) => expect(target(text)).toEqual(moment));

it("takes the year that is nearest where none is given, and the latest day of a long log", () => {
  const long = (text: string) => logTarget(text, Date.UTC(2025, 11, 20), Date.UTC(2026, 0, 10, 4));
  expect(long("31 Dec 12:00")).toEqual({ time: Date.UTC(2025, 11, 31, 4) });
  expect(long("2 Jan")).toEqual({ time: Date.UTC(2026, 0, 1, 16) });
  expect(long("11:00")).toEqual({ time: Date.UTC(2026, 0, 10, 3) });
  expect(long("13:00")).toEqual({ time: Date.UTC(2026, 0, 9, 5) });
});

it.each(["", "25:00", "12:60", "-5", "1.5", "2026-02-30", "31 Foo 12:00", "30 Feb", "yesterday", "step", "9".repeat(30)])(
  "%j is neither", (text) => expect(target(text)).toBeNull(),
);
