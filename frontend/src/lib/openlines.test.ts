import { describe, expect, it } from "vitest";
import { OpenLineBook, SILENT_MILLISECONDS, type OpenLines } from "./openlines";

const bar = (sender: string, text: string, whose = ""): OpenLines => ({ sender, whose, lines: text ? [[1, "stderr", text]] : [] });
const shown = (book: OpenLineBook, now = 0) => book.lines(now).map(([, , text]) => text);

describe("lines that are being written", () => {
  it("are rewritten in their place, and end where their sender says that there are none", () => {
    const book = new OpenLineBook();
    book.hear(bar("b", "10 %"), 0);
    book.hear(bar("a", "1 of 9"), 0);
    book.hear(bar("b", "20 %"), 0);
    expect(shown(book)).toEqual(["1 of 9", "20 %"]);
    book.hear(bar("a", ""), 0);
    expect(shown(book)).toEqual(["20 %"]);
  });

  it("stand by their ranks or nodes, each sender's in their own order", () => {
    const book = new OpenLineBook();
    book.hear({ sender: "a", whose: "node-10", lines: [[1, "stderr", "epochs"], [1, "stderr", "batches"]] }, 0);
    book.hear(bar("b", "10 %", "node-2"), 0);
    book.hear(bar("b", "20 %", "node-2"), 0);
    expect(book.lines(0).map(([, , text, whose]) => `${whose}: ${text}`)).toEqual(["node-2: 20 %", "node-10: epochs", "node-10: batches"]);
  });

  it("are let go of where nobody tells of them any more", () => {
    const book = new OpenLineBook();
    book.hear(bar("a", "10 %"), 0);
    book.hear(bar("b", "10 %"), 5_000);
    expect(book.next).toBe(SILENT_MILLISECONDS);
    expect(shown(book, SILENT_MILLISECONDS - 1)).toHaveLength(2);
    expect(shown(book, SILENT_MILLISECONDS)).toHaveLength(1);
    expect(book.next).toBe(SILENT_MILLISECONDS + 5_000);
    expect(shown(book, SILENT_MILLISECONDS + 5_000)).toEqual([]);
    expect(book.next).toBeNull();
  });

  it("of a reading count where nothing newer was told while it was on its way", () => {
    const book = new OpenLineBook();
    book.hear(bar("gone", "90 %"), 0);
    book.hear(bar("moved", "30 %"), 0);
    book.read([bar("moved", "20 %"), bar("ended", "99 %"), bar("new", "5 %")], new Set(["moved", "ended"]), 0);
    expect(shown(book)).toEqual(["30 %", "5 %"]);
  });
});
