import { expect, it } from "vitest";
import { click, nothing, setAll } from "./selection";

const order = ["a", "b", "c", "d"];

it("toggles one row", () => {
  const one = click(nothing, "b", order, false);
  expect([...one.chosen]).toEqual(["b"]);
  expect(click(one, "b", order, false).chosen.size).toBe(0);
});

it("chooses a range with shift, either way", () => {
  const from = click(nothing, "d", order, false);
  expect([...click(from, "b", order, true).chosen].sort()).toEqual(["b", "c", "d"]);
});

it("treats a shift-click as a plain one where the anchor has been filtered away", () => {
  const from = click(nothing, "x", ["x"], false);
  expect([...click(from, "b", order, true).chosen].sort()).toEqual(["b", "x"]);
});

it("keeps what is chosen outside the rows shown", () => {
  const kept = setAll(click(nothing, "z", ["z"], false), order, true);
  expect(kept.chosen.has("z")).toBe(true);
  expect(setAll(kept, order, false).chosen).toEqual(new Set(["z"]));
});
