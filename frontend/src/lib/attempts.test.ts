import { expect, it } from "vitest";
import { endOf } from "./attempts";

const ended = { signal: "", exit_code: 0, first_error_line: "", ended_at: "2026-01-01" };
it.each([
  [{ ...ended }, ""],
  [{ ...ended, exit_code: 1, first_error_line: "ValueError: no" }, "exit code 1: ValueError: no"],
  [{ ...ended, exit_code: null, signal: "SIGKILL" }, "signal SIGKILL"],
  [{ ...ended, exit_code: 3, ended_at: null }, ""],
])("tells the end of %o", (attempt, words) => expect(endOf(attempt)).toBe(words));
