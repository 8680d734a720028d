import { expect, it } from "vitest";
import { matchKeys, sections } from "./keys";

it("groups by prefix, bare keys first and ours last", () => {
  const out = sections(["_step_seconds", "val/loss", "loss", "train/loss", "layer10/w", "layer9/w", "/odd", "accuracy"]);
  expect(out.map((section) => section.name)).toEqual(["", "layer9", "layer10", "train", "val", "process"]);
  expect(out[0].keys).toEqual(["/odd", "accuracy", "loss"]);
});

it("puts the named keys first", () => expect(sections(["a", "loss"], ["loss"])[0].keys).toEqual(["loss", "a"]));

it("finds keys by words", () => expect(matchKeys(["val/loss", "train/acc"], "LOSS val")).toEqual(["val/loss"]));
