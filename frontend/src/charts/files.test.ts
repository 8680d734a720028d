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

it("the drawing is well-formed, whatever the names are", () => {
  const seen = {
    title: "<img src=x onerror=alert(1)>\u0007 & more", width: 600, height: 300, lines: smoothed([line("</svg><script>"), { ...line("b"), second: true, exact: false }], 0),
    marks: [{ id: "command:1", kind: "command" as const, x: 2, label: "lr → 0.1", tone: "accent" as const }],
    range: [0, 3] as [number, number], ranges: [[0, 5], [0, 5]] as [[number, number], [number, number]],
    ticks: [{ at: [0, 3], labels: ["0", "3"] }, { at: [0, null], labels: ["0", ""] }, { at: [5], labels: ["5"] }], scale: "linear" as const, threshold: 1, colour: () => "#888",
  };
  const found = new DOMParser().parseFromString(svgOf(seen), "image/svg+xml");
  expect(found.querySelector("parsererror")).toBeNull();
  expect(found.querySelectorAll("script, img")).toHaveLength(0);
  expect(found.querySelectorAll("path")).toHaveLength(2);
  expect(found.querySelector("path")!.getAttribute("d")).toMatch(/^M64 .*M/); // a gap where a value is not finite
  expect(found.documentElement.textContent).toContain("<img src=x onerror=alert(1)> & more");
});

it.each([["val/loss", "val-loss"], ["<img src=x onerror=1>", "img-src-x-onerror-1"], ["../..", "chart"], ["学习率", "学习率"]])("%s is kept as %s", (title, name) => expect(fileName(title)).toBe(name));
