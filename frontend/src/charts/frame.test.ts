import { beforeEach, expect, it, vi } from "vitest";

let at = 0;
let frames: (() => void)[] = [];
const frame = () => frames.splice(0).forEach((work) => work());
const taking = (milliseconds: number, name: string, into: string[]) => () => {
  at += milliseconds;
  into.push(name);
};

async function fresh() {
  vi.resetModules();
  return import("./frame");
}

beforeEach(() => {
  vi.useFakeTimers();
  at = 1000;
  frames = [];
  vi.stubGlobal("requestAnimationFrame", (work: () => void) => frames.push(work));
  vi.spyOn(performance, "now").mockImplementation(() => at);
});

it("runs each piece once a frame, and what does not fit in the next ones, in turn", async () => {
  const { onNextFrame } = await fresh();
  const ran: string[] = [];
  const works = ["a", "b", "c"].map((name) => taking(6, name, ran));
  works.forEach((work) => onNextFrame(work));
  works.forEach((work) => onNextFrame(work));
  frame();
  expect(ran).toEqual(["a", "b"]);
  onNextFrame(works[0]);
  frame();
  expect(ran).toEqual(["a", "b", "c", "a"]);
});

it("rests twice as long as drawing for live points took, but not what a person asked for", async () => {
  const { onNextFrame, whenRested } = await fresh();
  const ran: string[] = [];
  const live = taking(5, "live", ran);
  whenRested(live);
  frame();
  vi.advanceTimersByTime(0);
  whenRested(live);
  onNextFrame(taking(1, "zoom", ran));
  frame();
  expect(ran).toEqual(["live", "zoom"]);
  at += 10;
  vi.advanceTimersByTime(10);
  frame();
  expect(ran).toEqual(["live", "zoom", "live"]);
});

it("counts the painting after a frame, for the rest and for how much the next frame takes on", async () => {
  const { whenRested } = await fresh();
  const ran: string[] = [];
  const works = ["a", "b"].map((name) => taking(1, name, ran));
  works.forEach((work) => whenRested(work));
  frame();
  expect(ran).toEqual(["a", "b"]);
  at += 28; // they took 2 themselves, and 30 with their painting
  vi.advanceTimersByTime(0);
  works.forEach((work) => whenRested(work));
  at += 50;
  vi.advanceTimersByTime(50);
  frame();
  expect(ran).toEqual(["a", "b"]);
  at += 10;
  vi.advanceTimersByTime(10);
  frame();
  expect(ran).toEqual(["a", "b", "a"]); // one was 15, and two are more than a frame has
});

it("counts the painting for what a person asked for as well: charts that come into view at once come in turn", async () => {
  const { onNextFrame, whenRested } = await fresh();
  const ran: string[] = [];
  const works = ["a", "b", "c", "d"].map((name) => taking(0, name, ran)); // a chart's own work comes after the frame's
  works.slice(0, 3).forEach((work) => onNextFrame(work));
  frame();
  expect(ran).toEqual(["a", "b", "c"]);
  at += 18; // 6 each
  vi.advanceTimersByTime(0);
  works.slice(0, 3).forEach((work) => onNextFrame(work));
  whenRested(works[3]);
  frame();
  expect(ran.slice(3)).toEqual(["a", "b"]);
  at += 12;
  vi.advanceTimersByTime(0);
  frame();
  expect(ran.slice(5)).toEqual(["c", "d"]);
});

it("forgets what was called off", async () => {
  const { cancelFrame, whenRested } = await fresh();
  const ran: string[] = [];
  const work = taking(1, "gone", ran);
  whenRested(work);
  cancelFrame(work);
  frame();
  expect(ran).toEqual([]);
});
