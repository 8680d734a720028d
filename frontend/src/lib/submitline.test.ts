import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { sizeWord, submitLine, type Asked } from "./submitline";

// The command line's own parser reads these lines in tests/contract/test_submit_lines.py.
const LINES = JSON.parse(readFileSync("../tests/contract/fixtures/submit/lines.json", "utf8")) as { line: string; asked: Asked }[];

it.each(LINES)("writes $line", ({ line, asked }) => expect(submitLine(asked)).toBe(line));

it.each([[2 ** 30, "1G"], [1.5 * 2 ** 40, "1.5T"], [512 * 2 ** 20, "512M"], [1000, "1000"], [107374183, "107374183"]])(
  "tells %d bytes as they are", (bytes, word) => expect(sizeWord(bytes)).toBe(word));

it("says nothing that is usual anyhow", () =>
  expect(submitLine({ argv: ["true"], experiment_name: "e", name: "", device_kind: "cpu", min_devices: 1, max_devices: 1, priority: 0, max_retries: 0, cwd: "", env: {}, keep: "batch", launcher: "once", tags: [] }))
    .toBe("scaleweb submit --experiment e -- true"));
