import { expect, test } from "vitest";
import type { Reading } from "./lines";
import { sayReading } from "./say";

const reading = (label: string, value: number) => ({ id: label, label, x: 1200, step: 1200, value, smoothed: null }) as Reading;
const mark = { id: "command:1", kind: "command" as const, x: 1200, label: "lr to 0.02", tone: "accent" as const };

test("one line is its value alone, with the marks at its place", () =>
  expect(sayReading([reading("a", 0.5)], [mark], "step", String)).toBe("step 1,200: 0.5. lr to 0.02"));
test("of many lines the nearest are read, and the rest counted", () =>
  expect(sayReading(["a", "b", "c", "d", "e"].map((name, i) => reading(name, i)), [], "relative", String)).toBe("20 m 00 s: a 0, b 1, c 2, d 3 and 1 more"));
test("a branch that was left behind is said to be one", () =>
  expect(sayReading([reading("a", 0.5), { ...reading("a", 9), left: true }], [], "step", String)).toBe("step 1,200: a 0.5, a (left behind) 9"));
test("nothing there is nothing said", () => expect(sayReading([], [mark], "step", String)).toBe(""));
