// @vitest-environment jsdom
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Buckets, SeriesRequest } from "../api/types";
import { columnsOf } from "../lib/columns.made";
import type { PointsFrame } from "../live/frames";
import { SeriesBoard } from "./board";

function buckets(source: string, key: string, steps: number[], more: Partial<Buckets> = {}): Buckets {
  const time = steps.map((step) => 1000 + step);
  const columns = columnsOf({ x: steps, step: steps, time, min: steps, max: steps, mean: steps, last: steps, count: steps.map(() => 1) });
  return { source, key, branch: 0, faded: false, x: "step", bucket: 1, exact: true, columns, non_finite: [], ...more };
}

const frame = (steps: number[], branch = 0): PointsFrame => ({
  type: "points", topic: "run:a", n: 1, branch,
  columns: { loss: { step: steps, time: steps.map((step) => 1000 + step), value: steps.map((step) => step * 10) } },
});

let asked: SeriesRequest[];
let answer: (request: SeriesRequest) => Buckets[];
const read = async (request: SeriesRequest) => {
  asked.push(request);
  return answer(request);
};
const settled = () => vi.advanceTimersByTimeAsync(50);

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  answer = (request) => request.sources.flatMap((source) => request.keys.map((key) => buckets(source, key, [0, 1, 2])));
});

describe("reading", () => {
  it("gathers the keys that come into view into one question", async () => {
    const board = new SeriesBoard(["run:a", "run:b"], "step", 100, read);
    board.want("loss");
    board.want("acc");
    await settled();
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ sources: ["run:a", "run:b"], keys: ["loss", "acc"], width: 100, start: null });
    expect(Array.from(board.line("run:b", "acc")!.columns.x)).toEqual([0, 1, 2]);
  });

  it("reads of a long history what is to be seen, and of that a zoom", async () => {
    const board = new SeriesBoard(["node:a"], "time", 100, read);
    board.span = [1000, null];
    board.want("power_watts");
    await settled();
    expect(asked[0]).toMatchObject({ start: 1000, end: null });
    board.zoom([1001, 1002]);
    await vi.advanceTimersByTimeAsync(300);
    expect(asked[1]).toMatchObject({ start: 1001, end: 1002 });
  });

  it("asks again for the exact points of a zoom that could not be read", async () => {
    const board = new SeriesBoard(["run:a"], "step", 100, read);
    board.want("loss");
    await settled();
    const good = answer;
    answer = () => {
      throw new Error("The server cannot be reached.");
    };
    board.zoom([0, 1]);
    await vi.advanceTimersByTimeAsync(300);
    expect(board.error).toMatch(/reached/);
    answer = () => [buckets("run:a", "loss", [0, 1])];
    await vi.advanceTimersByTimeAsync(3100);
    expect(Array.from(board.line("run:a", "loss")!.columns.x)).toEqual([0, 1]);
    expect(asked).toHaveLength(3);
    answer = good;
  });

  it("keeps faded branches apart and joins those in force", async () => {
    answer = () => [
      buckets("run:a", "loss", [0, 1]), buckets("run:a", "loss", [2, 3], { faded: true }), buckets("run:a", "loss", [2, 3, 4], { branch: 1 }),
    ];
    const board = new SeriesBoard(["run:a"], "step", 100, read);
    board.want("loss");
    await settled();
    const line = board.line("run:a", "loss")!;
    expect(Array.from(line.columns.x)).toEqual([0, 1, 2, 3, 4]);
    expect(line.faded.map((faded) => Array.from(faded.x))).toEqual([[2, 3]]);
  });

  it("says what failed and tries again", async () => {
    const good = answer;
    answer = () => {
      throw new Error("The server cannot be reached.");
    };
    const board = new SeriesBoard(["run:a"], "step", 100, read);
    board.want("loss");
    await settled();
    expect(board.error).toMatch(/reached/);
    answer = good;
    await vi.advanceTimersByTimeAsync(3100);
    expect(board.error).toBe("");
    expect(board.line("run:a", "loss")!.columns.x).toHaveLength(3);
  });
});

describe("live points", () => {
  it("extend a line and tell its chart", async () => {
    const board = new SeriesBoard(["run:a"], "step", 100, read);
    const told = vi.fn();
    board.listen("loss", told);
    board.want("loss");
    await settled();
    told.mockClear();
    board.points("run:a", frame([3, 4]));
    expect(Array.from(board.line("run:a", "loss")!.columns.mean)).toEqual([0, 1, 2, 30, 40]);
    expect(told).toHaveBeenCalledOnce();
  });

  it("that come while a read is under way are neither lost nor doubled", async () => {
    const board = new SeriesBoard(["run:a"], "step", 100, read);
    board.want("loss");
    await settled();
    board.refresh();
    board.points("run:a", frame([2, 3])); // step 2 is in the answer, step 3 is not
    await settled();
    expect(Array.from(board.line("run:a", "loss")!.columns.step)).toEqual([0, 1, 2, 3]);
    expect(Array.from(board.line("run:a", "loss")!.columns.count)).toEqual([1, 1, 1, 1]);
  });

  it("are not undone by an earlier question's answer that comes last", async () => {
    const answers: ((found: Buckets[]) => void)[] = [];
    const board = new SeriesBoard(["run:a"], "step", 100, () => new Promise((resolve) => answers.push(resolve)));
    board.want("loss");
    await settled();
    board.refresh();
    await settled();
    answers[1]([buckets("run:a", "loss", [0, 1, 2, 3, 4])]);
    await settled();
    answers[0]([buckets("run:a", "loss", [0, 1])]);
    await settled();
    expect(Array.from(board.line("run:a", "loss")!.columns.step)).toEqual([0, 1, 2, 3, 4]);
  });

  it("of a new branch are read again also after a read that failed and was tried again", async () => {
    const good = answer;
    answer = () => {
      throw new Error("The server cannot be reached.");
    };
    const board = new SeriesBoard(["run:a"], "step", 100, read);
    board.want("loss");
    await settled();
    answer = good;
    await vi.advanceTimersByTimeAsync(3100);
    const before = asked.length;
    board.points("run:a", frame([1], 1));
    await vi.advanceTimersByTimeAsync(2000);
    expect(asked).toHaveLength(before + 1);
  });

  it("of a new branch make the page read again what is faded now", async () => {
    const board = new SeriesBoard(["run:a"], "step", 100, read);
    board.want("loss");
    await settled();
    board.points("run:a", frame([1], 1));
    await vi.advanceTimersByTimeAsync(2000);
    expect(asked).toHaveLength(2);
  });

  it("never grow past twice the width", async () => {
    const board = new SeriesBoard(["run:a"], "step", 50, read);
    board.want("loss");
    await settled();
    board.points("run:a", frame(Array.from({ length: 5000 }, (_, i) => i + 3)));
    const line = board.line("run:a", "loss")!;
    expect(line.columns.x.length).toBeLessThanOrEqual(100);
    expect(Math.max(...line.columns.max)).toBe(50_020);
  });
});

describe("zooming", () => {
  it("reads the range again for its exact points, and goes back without asking", async () => {
    const board = new SeriesBoard(["run:a"], "step", 100, read);
    board.want("loss");
    await settled();
    answer = () => [buckets("run:a", "loss", [1])];
    board.zoom([0.4, 1.6]);
    await vi.advanceTimersByTimeAsync(300);
    expect(asked[1]).toMatchObject({ start: 0, end: 2 });
    expect(Array.from(board.line("run:a", "loss")!.columns.x)).toEqual([1]);
    board.zoom(null);
    expect(Array.from(board.line("run:a", "loss")!.columns.x)).toEqual([0, 1, 2]);
    expect(asked).toHaveLength(2);
  });
});
