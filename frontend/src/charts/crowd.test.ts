import { expect, it } from "vitest";
import { crowdsAt, crowdsOf } from "./crowd";
import type { ChartMark } from "./paint";

const mark = (x: number, more: Partial<ChartMark> = {}): ChartMark => ({ id: `command:${x}`, kind: "command", x, label: `at ${x}`, tone: "accent", ...more });
const place = (x: number) => x; // a step a pixel
const steps = (crowds: ReturnType<typeof crowdsOf>) => crowds.map(({ marks }) => marks.map(({ x }) => x));

it("leaves marks alone that can be told apart, each with its line through the picture", () => {
  const crowds = crowdsOf([mark(200), mark(20), mark(100)], place, 300);
  expect(steps(crowds)).toEqual([[20], [100], [200]]);
  expect(crowds.every(({ tall }) => tall)).toBe(true);
});

it("makes one of those that stand together, in its middle and in the tone that matters most", () => {
  const crowds = crowdsOf([mark(20, { tone: "good" }), mark(30, { tone: "bad" }), mark(100)], place, 300);
  expect(steps(crowds)).toEqual([[20, 30], [100]]);
  expect(crowds[0]).toMatchObject({ at: 25, tone: "bad" });
});

it("does not let a chain of close neighbours swallow the axis", () => {
  const crowds = crowdsOf(Array.from({ length: 60 }, (_, i) => mark(5 * i)), place, 300);
  expect(crowds.length).toBeGreaterThan(10);
  expect(crowds.flatMap(({ marks }) => marks)).toHaveLength(60);
});

it("keeps lines off a picture that has no room for them, and puts them back where it has", () => {
  const many = Array.from({ length: 10 }, (_, i) => mark(30 * i));
  expect(crowdsOf(many, place, 300).some(({ tall }) => tall)).toBe(false);
  expect(crowdsOf(many, (x) => 2.5 * x, 750).every(({ tall }) => tall)).toBe(true);
});

it("takes what is out of view out of the count", () => {
  expect(steps(crowdsOf([mark(-1), mark(10), mark(301)], place, 300))).toEqual([[10]]);
});

it("keeps checkpoints, which are many, as ticks beside what else there is", () => {
  const saved = Array.from({ length: 100 }, (_, i) => mark(3 * i + 0.5, { kind: "checkpoint", tone: "quiet" }));
  const crowds = crowdsOf([...saved, mark(100)], place, 300);
  expect(crowds.at(-1)).toMatchObject({ tall: true, at: 100 });
  expect(crowds).toHaveLength(101);
  expect(crowdsAt(crowds, 100)[0].marks[0].kind).toBe("command");
});

it("names no run's colour for marks of several", () => {
  const of = (x: number, colour: string) => mark(x, { run: colour, colour });
  expect(crowdsOf([of(10, "red"), of(12, "red")], place, 300)[0]).toMatchObject({ colour: "red", tall: false });
  expect(crowdsOf([of(10, "red"), of(12, "blue")], place, 300)[0].colour).toBeUndefined();
});

it("is hit anywhere on its count", () => {
  const crowds = crowdsOf([mark(100), mark(104), mark(200)], place, 300);
  expect(crowdsAt(crowds, 109)).toEqual([crowds[0]]);
  expect(crowdsAt(crowds, 206)).toEqual([]);
});
