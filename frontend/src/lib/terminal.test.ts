import { expect, it } from "vitest";
import { isProgress, plain } from "./terminal";

it.each([
  ["\u001b[31mred\u001b[0m", "red"],
  ["\u001b]0;title\u0007text", "text"],
  ["\u001b]8;;http://x\u001b\\link", "link"],
  ["10%\r50%\r100%", "100%"],
  ["long line\rshort", "shortline"],
  ["done\r", "done"],
  ["a\u0000b\u0007", "ab"],
  ["tab\tstays", "tab\tstays"],
  ["<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"],
])("%j reads %j", (text, shown) => expect(plain(text)).toBe(shown));

it("knows a progress line", () => expect(isProgress("\r 50%")).toBe(true));
