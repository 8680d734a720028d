import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import type { Command, RunEvent } from "../api/types";
import { toldByCommands, toldByReflexes } from "./toldonce";

/** What the server is held against, too: tests/contract/test_told_once.py. */
const CASES = JSON.parse(readFileSync("../tests/contract/fixtures/told_once.json", "utf8")) as { what: string; commands: Command[]; events: RunEvent[]; told: number[] }[];

it.each(CASES)("takes for told: $what", ({ commands, events, told }) => {
  const by = toldByCommands(commands, events);
  expect([...by, ...toldByReflexes(events, by)].sort((a, b) => a - b)).toEqual(told);
});
