import { expect, test } from "vitest";
import { columnsOf } from "../lib/columns.made";
import { stroke, type Place } from "./keyboard";
import type { ChartLine } from "./lines";

const line = (x: number[]) => ({ columns: columnsOf({ x }) }) as unknown as ChartLine;
const place = (changes: Partial<Place> = {}): Place => ({ lines: [line([5]), line([0, 10, 20, 30])], range: [0, 30], all: [0, 30], at: 10, ...changes });

test.each([
  ["ArrowRight", {}, { go: 20 }], ["ArrowLeft", {}, { go: 0 }], ["ArrowRight", { at: 30 }, { go: 30 }],
  ["ArrowRight", { at: null }, { go: 0 }], ["ArrowLeft", { at: null }, { go: 30 }], ["End", {}, { go: 30 }],
  ["+", {}, { zoom: [5, 20] }], ["-", { range: [5, 20] as [number, number] }, { zoom: null }], ["0", {}, { zoom: null }],
  ["Escape", {}, { leave: true }], ["Escape", { at: null }, null], ["Enter", {}, { open: true }], ["x", {}, null],
  ["ArrowRight", { lines: [] }, null],
] as const)("%s with %j does %j", (key, changes, what) => expect(stroke(key, false, place(changes as Partial<Place>))).toEqual(what));

test("with shift the crosshair takes ten points at once", () => {
  const lines = [line(Array.from({ length: 100 }, (_, i) => i))];
  expect(stroke("ArrowRight", true, place({ lines, at: 5, range: [0, 99] }))).toEqual({ go: 15 });
});
