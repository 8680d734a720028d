import { expect, it } from "vitest";
import { append, emptyColumns, type Part } from "../lib/columns";
import { bendOf } from "./bend";
import { smoothed, type ShownLine } from "./lines";

function lines(values: number[]): ShownLine[] {
  const part: Part = { branch: 0, faded: false, bucket: 1, exact: true, columns: emptyColumns(), nonFinite: [] };
  values.forEach((value, step) => append(part, step, 1000 + step, step, value));
  return smoothed([{ id: "a", label: "a", colour: "--series-1", columns: part.columns, faded: [], nonFinite: part.nonFinite, exact: true }], 0);
}
const range = (most: number): [number, number] => [0, most];

it("offers a logarithmic axis where a loss exploded, and says what it would hide", () => {
  const exploded = Array.from({ length: 400 }, (_, i) => (i < 300 ? 0.3 : 0.3 * 10 ** ((i - 300) / 4)));
  expect(bendOf(lines(exploded), range(400))).toEqual({ decades: 25, hidden: 0 });
  expect(bendOf(lines([...exploded, 0, -1]), range(402))).toEqual({ decades: 25, hidden: 2 });
  // What is zoomed into may be tame.
  expect(bendOf(lines(exploded), range(250))).toBeNull();
});

it("offers none where a straight axis tells enough", () => {
  expect(bendOf(lines(Array.from({ length: 400 }, (_, i) => 0.1 + 2.2 * Math.exp(-i / 60))), range(400))).toBeNull();
  // Both signs: a third of it would be gone.
  expect(bendOf(lines(Array.from({ length: 300 }, (_, i) => (i % 3 ? 1 : -1) * (i === 299 ? 1e6 : 1))), range(300))).toBeNull();
  expect(bendOf(lines([]), range(10))).toBeNull();
  expect(bendOf(lines([NaN, NaN]), range(10))).toBeNull();
});
