import { afterEach, expect, it } from "vitest";
import { speak } from "./i18n";
import { dayOf, isZone, momentAt, sameDay, tellIn, when, zones } from "./when";

const NOON = Date.UTC(2026, 2, 5, 12, 30, 5);
afterEach(() => {
  speak("en", null);
  tellIn("");
});

it("tells a moment in the person's zone", () => {
  tellIn("Asia/Shanghai");
  expect(when(NOON, "second")).toBe("20:30:05");
  expect(when("2026-03-05T12:30:05Z", "minute")).toBe("20:30");
  tellIn("America/New_York");
  expect(when(new Date(NOON), "minute")).toBe("07:30");
  expect(when(NOON, "full")).toMatch(/5 Mar 2026, 07:30:05 (GMT-5|EST)/);
});

it("tells it in the person's language", () => {
  tellIn("UTC");
  speak("zh", {});
  expect(when(NOON, "date")).toBe("2026年3月5日");
  speak("en", null);
  expect(when(NOON, "date")).toBe("5 Mar 2026");
});

it("knows a day by the zone, and a zone that is none", () => {
  tellIn("Asia/Shanghai");
  expect(sameDay(Date.UTC(2026, 2, 5, 15), Date.UTC(2026, 2, 5, 17))).toBe(false);
  tellIn("Nowhere/Land"); // as an old browser would see a newer zone
  expect(when(NOON, "minute")).toMatch(/^\d\d:\d\d$/);
  expect(isZone("Nowhere/Land")).toBe(false);
  expect(zones()).toContain("Asia/Shanghai");
  expect(when("not a time", "full")).toBe("");
});

it("finds the moment at which a clock of the zone shows a time", () => {
  tellIn("Asia/Shanghai");
  expect(momentAt(2026, 3, 5, 20, 30, 5)).toBe(NOON);
  expect(dayOf(Date.UTC(2026, 11, 31, 17))).toEqual([2027, 1, 1]);
  tellIn("Pacific/Kiritimati");
  expect(momentAt(2026, 3, 6, 2, 30, 5)).toBe(NOON);
  tellIn("Europe/Berlin");
  expect(momentAt(2026, 10, 25, 1, 59)).toBe(Date.UTC(2026, 9, 24, 23, 59));
  expect(momentAt(2026, 10, 25, 2, 30)).toBe(Date.UTC(2026, 9, 25, 0, 30)); // shown twice
  expect(momentAt(2026, 10, 25, 3)).toBe(Date.UTC(2026, 9, 25, 2));
  expect(momentAt(2026, 3, 29, 2, 30)).toBe(Date.UTC(2026, 2, 29, 1, 30)); // never shown: half an hour after the change
  expect(momentAt(2026, 3, 29, 3)).toBe(Date.UTC(2026, 2, 29, 1));
});
