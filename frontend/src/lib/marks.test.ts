import { expect, it } from "vitest";
import type { Mark } from "../api/types";
import { columnsOf } from "./columns.made";
import { addressOf, clockAhead, placeMarks } from "./marks";

const mark: Mark = { kind: "command", id: 3, step: 50, at: "1970-01-01T00:20:00Z", label: "lr", tone: "danger", clock_ahead_seconds: 0 };
const columns = columnsOf({ x: [0, 10], step: [40, 60], time: [1190, 1210] });

it.each([["step", 50], ["time", 1200], ["relative", 10], ["epoch", 0]])("stands on the %s axis at %s", (axis, x) =>
  expect(placeMarks([mark], axis)([{ columns }])[0]).toMatchObject({ id: "command:3", x, tone: "bad" }));

it.each([["step", 50, 50], ["time", 87_600, -85_200], ["relative", 86_410, -86_390]])("stands on the %s axis by the clock of its own run's points", (axis, ahead, behind) => {
  const of = (run: string, clock_ahead_seconds: number) => ({ ...mark, run, clock_ahead_seconds });
  const place = placeMarks([of("a", 86_400), of("b", -86_400)], axis);
  expect(place(["a", "b"].map((run) => ({ id: `run:${run}`, columns }))).map(({ x }) => x)).toEqual([ahead, behind]);
});

it("knows how far a process's clock was last", () => {
  expect(clockAhead([{ data: {} }, { data: { clock_ahead_seconds: 86_400 } }, { data: { clock_ahead_seconds: 5 } }])).toBe(86_400); // newest first
});

it("leaves out a mark that has no step", () => {
  expect(placeMarks([{ ...mark, step: null }], "step")([{ columns }])).toEqual([]);
});

it("stands on its own run's line where several are drawn, and goes with it", () => {
  const other = { id: "run:b", label: "slow", colour: "--series-2", columns: columnsOf({ x: [5, 15], step: [40, 60], time: [1195, 1205] }) };
  const place = placeMarks([{ ...mark, run: "b" }], "relative");
  expect(place([{ id: "run:a", columns }, other])).toEqual([expect.objectContaining({ run: "b", colour: "--series-2", x: 10, label: "slow: lr" })]);
  expect(place([{ id: "run:a", columns }])).toEqual([]);
});

it.each([["decision", "/runs/r1?tab=decisions&at=7"], ["alert", "/alerts?run=r1"]] as const)("opens what a mark of a %s stands for", (kind, address) =>
  expect(addressOf({ id: `${kind}:7`, kind }, "r1")).toBe(address));
