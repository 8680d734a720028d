import { expect, it } from "vitest";
import { beginnings, inView, placeOf, scrolledTo, Slots } from "./window";

it.each([
  [0, 360, 10_000, { from: 0, to: 15 }], [3600, 360, 10_000, { from: 95, to: 115 }], [359_640, 360, 10_000, { from: 9985, to: 10_000 }], [9999, 360, 3, { from: 3, to: 3 }],
])("draws at %i px of %i the rows in view and some more", (top, height, count, part) => expect(inView(top, height, 36, count, 5)).toEqual(part));

it("knows which line of which group stands where", () => {
  const starts = beginnings([{ lines: 1 }, { lines: 4 }, { lines: 1 }]);
  expect(starts).toEqual([0, 1, 5, 6]);
  expect([0, 1, 4, 5].map((line) => placeOf(starts, line))).toEqual([
    { block: 0, line: 0 }, { block: 1, line: 0 }, { block: 1, line: 3 }, { block: 2, line: 0 },
  ]);
});

it("scrolls no further than it takes to see a row whole", () =>
  expect([scrolledTo(2, 100, 400, 36, 34), scrolledTo(5, 100, 400, 36, 34), scrolledTo(20, 100, 400, 36, 34)]).toEqual([72, 100, 390]));

it("draws a line that comes into view in the element of one that left it, and moves none where most are others", () => {
  const slots = new Slots();
  const of = (from: number) => Array.from({ length: 20 }, (_, i) => slots.at(from, 20)(from + i));
  const before = of(0);
  expect(new Set(before).size).toBe(20);
  // A few lines on: those that stay keep their elements, and the first ones come again at the end.
  expect(of(4)).toEqual([...before.slice(4), ...before.slice(0, 4)]);
  expect(of(0)).toEqual(before);
  // Far on, to and fro, and to a place that is no multiple: the elements stand as they stood.
  expect(of(13)).toEqual(before);
  expect(of(1000)).toEqual(before);
  expect(of(3)).toEqual(before);
});

it("leaves lines in their elements when there are more of these again", () => {
  const slots = new Slots();
  const of = (from: number, count: number) => Array.from({ length: count }, (_, i) => slots.at(from, count)(from + i));
  of(0, 30);
  of(7, 30);
  const few = of(3, 20); // nothing is spare now
  of(400, 20);
  expect(of(1000, 20)).toEqual(few);
  const all = of(994, 30);
  expect(all.slice(6, 26)).toEqual(few);
  expect(new Set(all).size).toBe(30);
});
