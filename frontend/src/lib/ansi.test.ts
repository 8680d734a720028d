import { describe, expect, it } from "vitest";
import { bare, hasLevel, highlighted, pieces } from "./ansi";

const flat = (raw: string) => pieces(raw).map((piece) => (piece.style ? `[${piece.style}|${piece.text}]` : piece.text)).join("");

describe("a line of output", () => {
  it.each([
    ["\u001b[31mred\u001b[0m then", "[fg-red|red] then"],
    ["\u001b[1;32mok\u001b[22m thin\u001b[m", "[fg-green bold|ok][fg-green| thin]"],
    ["\u001b[38;5;196mA\u001b[38;2;20;30;250mB\u001b[48;5;21mC", "[fg-red|A][fg-blue|B][fg-blue bg-blue|C]"],
    ["\u001b[91mbright\u001b[39m", "[fg-red|bright]"],
    ["\u001b]0;title\u0007text", "text"],
    ["\u001b]8;;http://x\u001b\\link", "link"],
    ["\u001b[2J\u001b[1;1Hx", "x"],
    ["10%\r50%\r100%", "100%"],
    ["long line\rshort", "shortline"],
    ["long line\r\u001b[Kshort", "short"],
    ["\u001b[32m 10%\u001b[0m\r\u001b[32m 60%\u001b[0m", "[fg-green| 60%]"],
    ["abc\b\bX", "aXc"],
    ["a\u0000b\u0007", "ab"],
    ["tab\tstays", "tab\tstays"],
    ["\u001b[", ""],
    ["<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"],
    ["", ""],
  ])("%j reads %j", (raw, shown) => expect(flat(raw)).toBe(shown));

  it("is cut where it is absurdly long", () => expect(bare("x".repeat(50_000)).length).toBe(10_001));
});

describe("what was searched for", () => {
  const marked = (raw: string, search: string) => highlighted(pieces(raw), search).map((piece) => (piece.hit ? `<${piece.text}>` : piece.text)).join("");
  it.each([
    ["Out of memory, OUT OF MEMORY", "out of memory", "<Out of memory>, <OUT OF MEMORY>"],
    ["\u001b[31mER\u001b[1mROR\u001b[0m x", "error", "<ER><ROR> x"],
    ["none", "x", "none"],
    ["aaa", "aa", "<aa>a"],
    ["text", "", "text"],
  ])("in %j of %j shows %j", (raw, search, shown) => expect(marked(raw, search)).toBe(shown));
});

it.each([["2026 INFO start", true], ["\u001b[32mWARNING\u001b[0m: x", true], ["information", false]])("%j says its level: %s", (raw, said) => expect(hasLevel(raw)).toBe(said));
