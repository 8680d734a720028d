import { expect, it } from "vitest";
import { hold, NO_LINES, type HeldList } from "./held";

const taken = (text: string): HeldList<string> => hold<string>(NO_LINES, text.split(" ").filter(Boolean), (each) => each[0], { anew: true });
const seen = ({ lines, changed }: HeldList<string>): string => `${lines.map(({ item, gone }) => (gone ? `(${item})` : item)).join(" ")} +${changed.length}`;

it.each([
  { what: "all as it is", before: "a1 b1", now: "a1 b1", gives: "a1 b1 +0" },
  { what: "figures change in their places", before: "a1 b1", now: "a2 b2", gives: "a2 b2 +0" },
  { what: "who came waits", before: "a1 b1", now: "c1 a1 b1", gives: "a1 b1 +1" },
  { what: "who went stays as it was", before: "a1 b1", now: "b2", gives: "(a1) b2 +1" },
  { what: "another order is no change", before: "a1 b1", now: "b1 a1", gives: "a1 b1 +0" },
  { what: "one's own comes to the end", before: "a1", now: "d1 a1", free: "d", gives: "a1 d1 +0" },
  { what: "one's own goes at once", before: "a1 d1", now: "a1", free: "d", gives: "a1 +0" },
  { what: "who comes stands at the end where it need not wait, and who went is marked", before: "b1 a1", now: "d1 c1 a2", joins: true, gives: "(b1) a2 d1 c1 +1" },
  { what: "an empty list waits too", before: "", now: "a1", gives: " +1" },
  { what: "who is pushed out of the end of a part is not gone", before: "a1 b1 c1", now: "d1 a2 b2", cut: true, gives: "a2 b2 c1 +1" },
  { what: "who went from within a part is", before: "a1 b1 c1", now: "a1 c1 d1", cut: true, gives: "a1 (b1) c1 +2" },
  { what: "a part that was pushed out whole", before: "a1 b1", now: "c1 d1", cut: true, gives: "a1 b1 +2" },
  { what: "anew it is the list of now", before: "a1 b1", now: "c1 b2", anew: true, gives: "c1 b2 +0" },
])("$what", ({ before, now, gives, anew, free, joins, cut }) => {
  expect(seen(hold(taken(before), now.split(" "), (each) => each[0], { anew, free: new Set(free), joins, cut }))).toBe(gives);
});

it("shows whom it had thought gone in the old place", () => {
  const without = hold(taken("a1 b1"), ["b1"], (each) => each[0]);
  expect(seen(hold(without, ["b1", "a2"], (each) => each[0]))).toBe("a2 b1 +0");
});
