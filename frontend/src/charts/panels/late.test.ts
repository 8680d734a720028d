import { expect, it } from "vitest";
import { Late } from "./late";

it("tells which metrics came later, until others are looked at", () => {
  let now = 0;
  const late = new Late(() => now);
  expect(late.of([], ["run:a"])).toEqual([]);
  now = 60_000; // the first point, whenever it comes
  expect(late.of(["loss"], ["run:a"])).toEqual([]);
  now += 1000; // and what a beginning run tells right after it
  expect(late.of(["loss", "lr"], ["run:a"])).toEqual([]);
  now += 10_000;
  expect(late.of(["eval/loss", "loss", "lr"], ["run:a"])).toEqual(["eval/loss"]);
  expect(late.of(["eval/loss", "loss", "lr", "z"], ["run:a"])).toEqual(["eval/loss", "z"]);
  expect(late.of(["eval/loss", "loss", "lr", "z"], ["run:a", "run:b"])).toEqual([]); // another line was asked for
  now += 10_000;
  expect(late.of(["eval/loss", "loss", "lr", "y", "z"], ["run:a", "run:b"])).toEqual(["y"]);
  late.settle(["eval/loss", "loss", "lr", "y", "z"]);
  expect(late.of(["eval/loss", "loss", "lr", "y", "z"], ["run:a", "run:b"])).toEqual([]);
});

it("does not begin anew where a filter leaves lines out or brings them back", () => {
  let now = 60_000;
  const late = new Late(() => now);
  const both = ["run:a", "run:b"];
  expect(late.of(["loss", "solo"], both)).toEqual([]);
  now += 10_000;
  expect(late.of(["loss", "solo", "z"], both)).toEqual(["z"]);
  expect(late.of(["loss", "z"], ["run:a"])).toEqual(["z"]); // b is filtered out, and with it what it alone has
  expect(late.of(["loss", "solo", "z"], both)).toEqual(["z"]);
  expect(late.of(["loss", "z"], ["run:a", "run:c"])).toEqual([]); // a run that was not drawn before
  now += 10_000;
  expect(late.of(["loss", "solo", "y"], both)).toEqual(["y"]); // what had its place keeps it
});
