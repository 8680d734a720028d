import { beforeEach, expect, it, vi } from "vitest";
import { aheadSeconds, hearTime, serverNow } from "./skew";

const NOON = Date.UTC(2026, 2, 5, 12);
const DAY = 86_400_000;
const header = (at: number) => new Date(at).toUTCString();

beforeEach(() => {
  vi.useFakeTimers({ now: NOON });
  hearTime(header(NOON), NOON, NOON);
});

it("leaves a clock alone that is right within what an answer can tell", () => {
  hearTime(header(NOON - 900), NOON, NOON + 200);
  hearTime(header(NOON + 5000), NOON, NOON + 10_000); // a slow answer
  expect(serverNow()).toBe(NOON);
});

it.each([DAY, -DAY])("goes by the server where this clock is off by %s ms, and does not tremble with each answer", (off) => {
  hearTime(header(NOON - off), NOON, NOON + 100);
  expect(Math.abs(serverNow() - (NOON - off))).toBeLessThan(1000);
  expect(Math.abs(aheadSeconds() - off / 1000)).toBeLessThan(1);
  const first = serverNow();
  hearTime(header(NOON - off - 400), NOON, NOON + 700);
  expect(serverNow()).toBe(first);
});

it("notices when the clock is set right", () => {
  hearTime(header(NOON - DAY), NOON, NOON);
  vi.setSystemTime(NOON - DAY);
  hearTime(header(NOON - DAY), NOON - DAY, NOON - DAY + 50);
  expect(serverNow()).toBe(NOON - DAY);
});

it("passes over an answer that tells no time", () => {
  hearTime(null, NOON, NOON);
  hearTime("yesterday", NOON, NOON);
  expect(serverNow()).toBe(NOON);
});
