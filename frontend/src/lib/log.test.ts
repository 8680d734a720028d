import { expect, it } from "vitest";
import { addLines } from "./log";

const none = { lines: [], cut: 0 };

it("shows a progress bar as one line that moves", () => {
  const log = addLines(none, [[1, "stdout", "start"], [2, "stderr", "\r10%"], [3, "stderr", "\r60%"], [4, "stdout", "done"]], 100);
  expect(log.lines.map((line) => line.text)).toEqual(["start", "60%", "done"]);
});

it("keeps its lines' identities while it grows, and lets go of the oldest", () => {
  const one = addLines(none, [[1, "stdout", "a"], [2, "stdout", "b"]], 2);
  const two = addLines(one, [[3, "stdout", "c"]], 2);
  expect(two.lines.map((line) => line.text)).toEqual(["b", "c"]);
  expect(two.lines[0].id).toBe(one.lines[1].id);
  expect(two.cut).toBe(1);
});
