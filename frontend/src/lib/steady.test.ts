import { expect, it } from "vitest";
import { keepPlaces } from "./steady";

const places = (shown: string[], now: string[]) => keepPlaces(shown, now, (each) => each[0]).map(({ item, gone }) => `${item}${gone ? " gone" : ""}`);

it("leaves each where it is, in its new words, with what came below and what left marked", () =>
  expect(places(["b1", "a1"], ["d1", "c1", "a2"])).toEqual(["b1 gone", "a2", "d1", "c1"]));

it("is the list itself where nothing was shown", () => expect(places([], ["b1", "a1"])).toEqual(["b1", "a1"]));
