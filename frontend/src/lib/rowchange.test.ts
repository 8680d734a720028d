import { expect, it } from "vitest";
import { changeOf } from "./rowchange";
import type { RunRow } from "./table";

const row = (fields: Partial<RunRow>): RunRow => ({ code: "a", name: "one", state: "running", ...fields });

it.each<[string, Partial<RunRow>, Partial<RunRow>, Partial<RunRow>]>([
  ["nothing", { tags: ["x"], summary: { loss: 1, lr: 2 } }, { tags: ["x"], summary: { loss: 1 } }, {}],
  ["an end", { ended_at: null }, { state: "finished", ended_at: "2026-01-01T00:00:00Z" }, { state: "finished", ended_at: "2026-01-01T00:00:00Z" }],
  ["a silence", { silent: false }, { silent: true }, { silent: true }],
  ["a figure among many", { summary: { loss: 1, lr: 2 } }, { summary: { loss: 0.5, lr: 2 } }, { summary: { loss: 0.5 } }],
  ["no settings, of which a list has a part", { config: { model: { depth: 2 } } }, { config: { "model.depth": 2 } as never }, {}],
])("tells %s", (_, before, now, change) => expect(changeOf(row(before), row(now))).toEqual(change));
