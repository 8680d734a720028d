import { afterEach, expect, it } from "vitest";
import { fieldOf, momentOf } from "./localtime";
import { tellIn } from "./when";

afterEach(() => tellIn(""));

it.each([
  ["Asia/Shanghai", "2026-03-05T20:30"],
  ["America/New_York", "2026-03-05T07:30"],
  ["UTC", "2026-03-05T12:30"],
  ["Asia/Kathmandu", "2026-03-05T18:15"],
])("reads in %s what it wrote", (zone, field) => {
  const noon = Date.UTC(2026, 2, 5, 12, 30);
  tellIn(zone);
  expect(fieldOf(noon)).toBe(field);
  expect(momentOf(field)).toBe(noon);
});

it("reads the hours around a change of the clock", () => {
  tellIn("Europe/Berlin"); // 29 March 2026: 02:00 is 03:00
  expect(momentOf("2026-03-29T01:59")).toBe(Date.UTC(2026, 2, 29, 0, 59));
  expect(momentOf("2026-03-29T03:00")).toBe(Date.UTC(2026, 2, 29, 1));
  expect(fieldOf(momentOf("2026-03-29T02:30"))).toBe("2026-03-29T03:30"); // there is none such
  expect(momentOf("2026-10-25T04:00")).toBe(Date.UTC(2026, 9, 25, 3));
});

it("says so where there is no moment", () => {
  expect(momentOf("")).toBeNaN();
  expect(fieldOf(NaN)).toBe("");
});
