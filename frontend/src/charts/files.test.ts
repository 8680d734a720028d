// @vitest-environment jsdom
import { expect, it } from "vitest";
import { columnsOf } from "../lib/columns.made";
import { csvOf } from "./csv";
import { fileName } from "./files";
import { smoothed, type ChartLine } from "./lines";
import { svgOf } from "./svg";

const line = (label: string): ChartLine => {
  const x = [0, 1, 2, 3];
  const mean = [1, NaN, 3, 4];
  const columns = columnsOf({ x, step: x, time: x, min: mean, max: mean, mean, last: [1, Infinity, 3, 4], count: [1, 1, 1, 1] });
  return { id: label, label, colour: "#123456", columns, faded: [], nonFinite: [], exact: true };
};

it("the table has what is within the range, and no formulas for spreadsheets", () =>
  expect(csvOf(smoothed([line("=cmd, x")], 0), [1, 2], false).split("\n")).toEqual([
    "line,x,step,time,mean,min,max,count", `"'=cmd, x",1,1,1,Infinity,NaN,NaN,1`, `"'=cmd, x",2,2,2,3,3,3,1`, "",
  ]));

it("the table has what a roll back left behind, told apart", () => {
  const one = line("a");
  expect(csvOf(smoothed([{ ...one, faded: [one.columns] }], 0.5), [2, 3], true).split("\n").map((row) => row.split(",").slice(0, 2).concat(row.split(",").slice(8)))).toEqual([
    ["line", "x", "smoothed", "left_behind"], ["a", "2", expect.stringMatching(/^2\.3/), "0"], ["a", "3", expect.stringMatching(/^3\.2/), "0"], ["a", "2", "", "1"], ["a", "3", "", "1"], [""],
  ]);
});

it("the drawing has what the screen has: points alone, what is not finite, what was measured behind the smoothed line, bands with their gaps", () => {
  const x = [0, 1, 2, 3, 4, 5];
  const mean = [1, NaN, 3, 4, NaN, 2];
  const columns = columnsOf({ x, step: x, time: x, min: mean, max: mean, mean, last: mean, count: x.map(() => 2) });
  const nonFinite = [{ step: 1, x: 1, kind: "NaN" as const }, { step: 4, x: 4, kind: "-Infinity" as const }];
  const seen = {
    title: "loss", width: 600, height: 300, lines: smoothed([{ ...line("a"), columns, nonFinite, exact: false }], 0.5), marks: [{ id: "checkpoint:1", kind: "checkpoint" as const, x: 2, label: "saved", tone: "quiet" as const }],
    range: [0, 5] as [number, number], ranges: [[0, 5], [0, 5]] as [[number, number], [number, number]], ticks: [], scale: "linear" as const, threshold: 1, smoothing: true, colour: () => "#888",
  };
  const of = (more: object) => new DOMParser().parseFromString(svgOf({ ...seen, ...more }), "image/svg+xml");
  const found = of({});
  expect(found.querySelectorAll("g > polygon")).toHaveLength(1); // of the two neighbours, and across no gap
  expect(found.querySelector("g > polygon")!.getAttribute("points")!.split(" ")).toHaveLength(4);
  expect(found.querySelectorAll("g > path[stroke-opacity='0.3']")).toHaveLength(1);
  expect([...found.querySelectorAll("path > title")].map((each) => each.textContent)).toEqual(["NaN", "-Infinity"]);
  const mark = found.querySelector("g > line")!;
  expect(Number(mark.getAttribute("y2")) - Number(mark.getAttribute("y1"))).toBe(6);
  expect(of({ range: [0, 100] }).querySelectorAll("g > rect[width='4']")).toHaveLength(2); // those that have no neighbour
  expect(of({ smoothing: false }).querySelectorAll("g > path[stroke-opacity='0.3']")).toHaveLength(0);
});

it("the drawing is well-formed, whatever the names are", () => {
  const seen = {
    title: "<img src=x onerror=alert(1)>\u0007 & more", width: 600, height: 300, lines: smoothed([line("</svg><script>"), { ...line("b"), second: true, exact: false }], 0),
    marks: [{ id: "command:1", kind: "command" as const, x: 2, label: "lr → 0.1", tone: "accent" as const }],
    range: [0, 3] as [number, number], ranges: [[0, 5], [0, 5]] as [[number, number], [number, number]],
    ticks: [{ at: [0, 3], labels: ["0", "3"] }, { at: [0, null], labels: ["0", ""] }, { at: [5], labels: ["5"] }], scale: "linear" as const, threshold: 1, smoothing: false, colour: () => "#888",
  };
  const found = new DOMParser().parseFromString(svgOf(seen), "image/svg+xml");
  expect(found.querySelector("parsererror")).toBeNull();
  expect(found.querySelectorAll("script, img")).toHaveLength(0);
  expect(found.querySelectorAll("path")).toHaveLength(2);
  expect(found.querySelector("path")!.getAttribute("d")).toMatch(/^M64 .*M/); // a gap where a value is not finite
  expect(found.documentElement.textContent).toContain("<img src=x onerror=alert(1)> & more");
});

it.each([["val/loss", "val-loss"], ["<img src=x onerror=1>", "img-src-x-onerror-1"], ["../..", "chart"], ["学习率", "学习率"]])("%s is kept as %s", (title, name) => expect(fileName(title)).toBe(name));
