// @vitest-environment jsdom
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Buckets, SeriesRequest } from "../api/types";
import { columnsOf } from "../lib/columns.made";
import { pointsBefore, smooth, smoothOver } from "../lib/ema";
import { SeriesBoard } from "./board";
import { calculate } from "./calculate";
import { parseExpression } from "../lib/expression";
import { smoothed, type ChartLine } from "./lines";
import { spread } from "./spread";

const START = 1e6; // seconds, of the first step
/** A loss that falls, with noise that is the same each time. */
const lossAt = (step: number) => 5 * Math.exp(-step / 4000) + Math.sin(step * 12.9898) * 0.5;

/** As the store answers: points where there are few, else buckets of the least width 2^k that leaves at most `width`. */
function stored(source: string, key: string, steps: number[], { width = 1000, x = "step", start, end }: SeriesRequest): Buckets {
  const place = (step: number) => (x === "time" ? START + step : step);
  const inside = steps.filter((step) => place(step) >= (start ?? -Infinity) && place(step) <= (end ?? Infinity));
  const [low, high] = [inside[0], inside[inside.length - 1]];
  let k = 0;
  if (inside.length > width) while (Math.floor(high / 2 ** k) - Math.floor(low / 2 ** k) + 1 > width) k += 1;
  const rows = new Map<number, number[]>();
  for (const step of inside) rows.set(Math.floor(step / 2 ** k), [...(rows.get(Math.floor(step / 2 ** k)) ?? []), step]);
  const first = [...rows.keys()].map((row) => (k ? row * 2 ** k : row));
  const of = (pick: (values: number[]) => number) => [...rows.values()].map((each) => pick(each.map(lossAt)));
  const mean = of((values) => values.reduce((sum, value) => sum + value, 0) / values.length);
  const columns = columnsOf({ x: first.map(place), step: first, time: first.map((step) => START + step), min: of((v) => Math.min(...v)), max: of((v) => Math.max(...v)), mean, last: mean, count: [...rows.values()].map((each) => each.length) });
  return { source, key, branch: 0, faded: false, x, bucket: 2 ** k, exact: !k, columns, non_finite: [], aged: false } as Buckets;
}

const chartLine = (board: SeriesBoard, key = "loss"): ChartLine => ({ id: "a", label: "a", colour: "", ...board.line("run:a", key)! });
let asked: SeriesRequest[];

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
});

async function zoomed(steps: number[], weight: number, range: [number, number], axis = "step") {
  const board = new SeriesBoard(["run:a"], axis, 500, async (request) => {
    asked.push(request);
    return [stored("run:a", "loss", steps, request)];
  });
  board.leadIn(pointsBefore(weight));
  board.want("loss");
  await vi.advanceTimersByTimeAsync(50);
  board.zoom(range);
  await vi.advanceTimersByTimeAsync(300);
  await vi.waitFor(() => expect(board.line("run:a", "loss")!.columns.x[0]).toBeGreaterThanOrEqual(range[0] - 64));
  return board;
}

const every = (apart: number, count: number) => Array.from({ length: count }, (_, i) => i * apart);

describe("a zoomed line that is smoothed", () => {
  it.each([
    { what: "of few points", steps: every(1, 400), range: [300, 340], axis: "step", weight: 0.9, questions: 2 },
    { what: "read to its points", steps: every(1, 20_000), range: [10_000, 10_400], axis: "step", weight: 0.97, questions: 3 },
    { what: "in buckets", steps: every(1, 100_000), range: [4000, 14_000], axis: "step", weight: 0.99, questions: 3 },
    { what: "of rare points", steps: every(100, 3000), range: [150_000, 154_000], axis: "step", weight: 0.95, questions: 3 },
    { what: "over time", steps: every(1, 20_000), range: [START + 10_000, START + 10_400], axis: "time", weight: 0.97, questions: 3 },
    { what: "from its first point on", steps: every(1, 20_000), range: [0, 400], axis: "step", weight: 0.97, questions: 2 },
  ])("goes on as it was before, $what", async ({ steps, range, axis, weight, questions }) => {
    const [from, to] = range;
    const board = await zoomed(steps, weight, [from, to], axis);
    expect(asked).toHaveLength(questions);
    for (const weighting of ["points", "distance"] as const) {
      const [line] = smoothed([chartLine(board)], weight, weighting);
      const { bucket } = stored("run:a", "loss", steps, asked[1]);
      const whole = stored("run:a", "loss", steps, { ...asked[1], start: null, end: null, width: Math.ceil(steps.at(-1)! / bucket) + 2 }).columns;
      const shown = weighting === "points" ? smooth(whole.mean, weight) : smoothOver(whole.mean, whole.x, weight);
      const at = whole.x.indexOf(line.columns.x[0]);
      expect(at).toBeGreaterThanOrEqual(0);
      expect(line.shown).toHaveLength(line.columns.x.length);
      for (const i of [0, 5, 20]) expect(Math.abs(line.shown[i] - shown[at + i]), `${weighting} ${i}`).toBeLessThan(0.02);
    }
    // What is before is not drawn.
    expect(chartLine(board).columns.x[0]).toBeGreaterThanOrEqual(from - 64);
  });

  it("asks for nothing before its range while nothing is smoothed, and asks once something is", async () => {
    const board = await zoomed(every(1, 20_000), 0, [10_000, 10_400]);
    expect(asked).toHaveLength(2);
    expect(board.line("run:a", "loss")!.lead).toBeUndefined();
    board.leadIn(pointsBefore(0.9));
    await vi.advanceTimersByTimeAsync(300);
    await vi.waitFor(() => expect(board.line("run:a", "loss")!.lead?.x).toHaveLength(pointsBefore(0.9)));
    expect(asked.at(-1)).toMatchObject({ end: 10_000 });
    expect(asked.at(-1)!.width).toBeLessThan(100);
    board.leadIn(pointsBefore(0.5)); // less is there already
    await vi.advanceTimersByTimeAsync(300);
    expect(asked).toHaveLength(4);
  });

  it("of an expression, and of a group, goes over what comes before too", async () => {
    const board = await zoomed(every(1, 400), 0.9, [300, 340]);
    const line = board.line("run:a", "loss")!;
    const { tree } = parseExpression("10 - loss");
    const turned = calculate(tree!, ["loss"], () => line)!;
    expect(turned.lead!.mean[0]).toBeCloseTo(10 - line.lead!.mean[0]);
    const both = calculate(parseExpression("loss + acc").tree!, ["loss", "acc"], () => line)!;
    expect(both.lead!.mean.at(-1)).toBeCloseTo(2 * line.lead!.mean.at(-1)!);
    const group = spread([line, turned], "deviation");
    expect(Array.from(group.lead!.x)).toEqual(Array.from(line.lead!.x));
    expect(group.lead!.mean[3]).toBeCloseTo(5);
    expect(spread([line, { ...line, lead: undefined }], "deviation").lead!.x).toHaveLength(line.lead!.x.length);
  });
});
