import { beforeEach, expect, it, vi } from "vitest";
import type { Columns } from "../lib/columns";
import type { ShownLine } from "./lines";
import { paintLines, type Scene } from "./paint";

type Call = [name: string, ...numbers: number[]];

/** A canvas that writes down what it is told. */
function recorder(): { calls: Call[]; ctx: CanvasRenderingContext2D } {
  const calls: Call[] = [];
  let dash: number[] = [];
  const own: Record<string, unknown> = { setLineDash: (next: number[]) => (dash = next), getLineDash: () => dash, globalAlpha: 1, lineWidth: 1 };
  const ctx = new Proxy(own, {
    get: (_, name: string) => (name in own ? own[name] : (...numbers: number[]) => calls.push([name, ...numbers])),
    set: (_, name: string, value) => {
      own[name] = value;
      if (name === "lineWidth") calls.push([name, value as number]);
      return true;
    },
  });
  return { calls, ctx: ctx as unknown as CanvasRenderingContext2D };
}

function columnsOf(count: number): Columns {
  const steps = Float64Array.from({ length: count }, (_, i) => i);
  const of = (add: number) => Float64Array.from(steps, (i) => 0.5 + add + 0.2 * Math.sin(i));
  return { x: steps, step: steps, min: of(-0.1), max: of(0.1), mean: of(0), last: of(0), count: steps.map(() => 4) } as unknown as Columns;
}

function painted(points: number, lines: number): Call[] {
  const columns = columnsOf(points);
  const line = (id: string) => ({ id, label: id, colour: "--series-1", columns, shown: columns.mean, exact: false, faded: [], nonFinite: [] }) as unknown as ShownLine;
  const scene: Scene = {
    lines: Array.from({ length: lines }, (_, i) => line(`${i}`)), range: [0, points - 1], ranges: [[0, 1], [0, 1]],
    smoothing: false, scale: "linear", threshold: 1, near: "", colour: (name) => name,
  };
  const { calls, ctx } = recorder();
  paintLines(ctx, { left: 50, top: 10, width: 400, height: 100 }, scene);
  return calls;
}
const count = (calls: Call[], name: string) => calls.filter(([called]) => called === name).length;

beforeEach(() => void vi.stubGlobal("devicePixelRatio", 1));

it("draws a band of points without room between them in columns of whole pixels, side by side and over all of it", () => {
  const rects = painted(1000, 1).filter(([name]) => name === "fillRect");
  let left = 50;
  for (const [, at, top, width, height] of rects) {
    expect(at).toBe(left);
    expect(Number.isInteger(width)).toBe(true);
    expect(height).toBeGreaterThanOrEqual(20 - 1e-9); // of 100 pixels for 1: what lies between least and greatest
    expect(top).toBeGreaterThanOrEqual(20 - 1e-9);
    left = at + width;
  }
  expect(left).toBe(451);
  expect(painted(1000, 1).filter(([name]) => name === "fill")).toEqual([]);
});

it("draws it by its outline where its points have a shape", () => {
  const calls = painted(20, 1);
  expect([count(calls, "fill"), count(calls, "fillRect")]).toEqual([1, 0]);
});

it("strokes a dense line in pieces, and one of many a pixel wide at once", () => {
  expect(count(painted(1000, 1), "stroke")).toBe(Math.floor(999 / 32) + 1 + 1); // and one at its first point, of nothing
  const many = painted(1000, 20);
  expect(count(many, "stroke")).toBe(20);
  expect(new Set(many.filter(([name]) => name === "lineWidth").map(([, width]) => width))).toEqual(new Set([1]));
  expect(new Set(painted(20, 20).filter(([name]) => name === "lineWidth").map(([, width]) => width))).toEqual(new Set([1, 1.2]));
});
