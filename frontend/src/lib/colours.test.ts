import { expect, it } from "vitest";
import { PALETTE_SIZE, assignColours, hash } from "./colours";

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
