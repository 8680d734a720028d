import { expect, it } from "vitest";
import { PALETTE_SIZE, Palette, assignColours, choiceFor, hash } from "./colours";

it("gives the same colour whatever the order", () => {
  const one = assignColours(["b", "a", "c"]);
  const other = assignColours(["c", "b", "a"]);
  for (const code of ["a", "b", "c"]) expect(one.get(code)).toBe(other.get(code));
});

it("repeats no colour before all are used, and never runs out", () => {
  const codes = Array.from({ length: 30 }, (_, i) => `run${i}`);
  expect(new Set(assignColours(codes.slice(0, PALETTE_SIZE)).values()).size).toBe(PALETTE_SIZE);
  expect(assignColours(codes).size).toBe(30);
});

it("hashes as FNV-1a does", () => expect(hash("a")).toBe(0xe40c292c));

it("keeps everybody's colour while others are hidden and shown again", () => {
  const codes = ["ada", "bo", "cy", "dee", "eve", "flo", "gus", "hal"]; // some of them have one colour by hash
  expect(new Set(codes.map((code) => hash(code) % PALETTE_SIZE)).size).toBeLessThan(8);
  const palette = new Palette();
  const all = palette.of(codes);
  for (const hidden of codes) {
    const some = codes.filter((code) => code !== hidden);
    expect([...palette.of(some)].every(([code, slot]) => all.get(code) === slot)).toBe(true);
  }
  expect(palette.of([codes[3]]).get(codes[3])).toBe(all.get(codes[3]));
  expect(palette.of(codes)).toEqual(all);
  // Who has a colour by a person's choice takes it from who had it.
  const [one, other] = codes;
  const swapped = palette.of(codes, { [one]: all.get(other)! });
  expect(swapped.get(one)).toBe(all.get(other));
  expect(swapped.get(other)).not.toBe(all.get(other));
  expect(new Set(swapped.values()).size).toBe(8);
});

it("says what to choose so that another person sees the same colours, of all of them and of each alone", () => {
  const codes = ["ada", "bo", "cy", "dee", "eve", "flo", "gus", "hal"];
  const palette = new Palette();
  for (const one of codes) {
    const seen = palette.of(codes, { [one]: 7 });
    const chosen = choiceFor(seen, { [one]: 7 });
    expect(assignColours(codes, chosen)).toEqual(seen);
    for (const code of codes) expect(assignColours([code], chosen).get(code)).toBe(seen.get(code));
  }
  expect(choiceFor(assignColours(["ada"]), {})).toEqual({});
});
