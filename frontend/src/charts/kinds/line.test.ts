import { expect, it } from "vitest";
import { readLine, storeLine } from "./line";

it("what was stored is read again as it was, and a metric's name may be anything", () => {
  const stored = { series: [{ key: "<img src=x onerror=alert(1)>" }, { expression: "1 - acc", second: true }], scale: "log" };
  expect(storeLine(readLine(stored))).toEqual(stored);
});

it.each([[{}], [{ series: "x" }], [{ series: [null, 5, {}] }], [{ scale: "cubic", robust: "yes" }]])("%j does no harm", (stored) => {
  const read = readLine(stored as Record<string, unknown>);
  expect([read.scale, read.robust]).toEqual(["", null]);
  for (const { parsed } of read.series) expect(parsed.error).toMatch(/Write a metric/);
});
