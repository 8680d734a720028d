import { expect, it } from "vitest";
import { hold, NO_LINES, type HeldList } from "./held";

const taken = (text: string): HeldList<string> => hold<string>(NO_LINES, text.split(" ").filter(Boolean), (each) => each[0], true);
const seen = ({ lines, changes }: HeldList<string>): string => `${lines.map(({ item, gone }) => (gone ? `(${item})` : item)).join(" ")} +${changes}`;

it.each([
  { what: "all as it is", before: "a1 b1", now: "a1 b1", gives: "a1 b1 +0" },
  { what: "figures change in their places", before: "a1 b1", now: "a2 b2", gives: "a2 b2 +0" },
  { what: "who came waits", before: "a1 b1", now: "c1 a1 b1", gives: "a1 b1 +1" },
  { what: "who went stays as it was", before: "a1 b1", now: "b2", gives: "(a1) b2 +1" },
  { what: "another order is no change", before: "a1 b1", now: "b1 a1", gives: "a1 b1 +0" },
  { what: "one's own comes to the end", before: "a1", now: "d1 a1", free: "d", gives: "a1 d1 +0" },
  { what: "one's own goes at once", before: "a1 d1", now: "a1", free: "d", gives: "a1 +0" },
  { what: "an empty list waits too", before: "", now: "a1", gives: " +1" },
  { what: "anew it is the list of now", before: "a1 b1", now: "c1 b2", anew: true, gives: "c1 b2 +0" },
])("$what", ({ before, now, gives, anew = false, free = "" }) => {
  expect(seen(hold(taken(before), now.split(" "), (each) => each[0], anew, new Set(free)))).toBe(gives);
});

it("shows whom it had thought gone in the old place", () => {
  const without = hold(taken("a1 b1"), ["b1"], (each) => each[0], false);
  expect(seen(hold(without, ["b1", "a2"], (each) => each[0], false))).toBe("a2 b1 +0");
});
