import { describe, expect, it } from "vitest";
import type { Schedule, Tunable } from "../api/types";
import { againOf, begin, placeOf, scheduleWords, wantedOf, type Form } from "./schedule";

const lr = { name: "lr", kind: "float", value: 0.1, low: 1e-6, high: 1 } as unknown as Tunable;
const form = (fields: Partial<Form>): Form => ({ ...begin(lr, 4200), ...fields });

describe("a schedule's form", () => {
  it("begins with a half at a round step ahead", () => {
    expect(begin(lr, 4200)).toMatchObject({ shape: "once", how: "factor", amount: "0.5", at: "4700" });
    expect(begin(lr, null).at).toBe("100");
    expect(begin({ ...lr, kind: "bool", value: false } as Tunable, 10)).toMatchObject({ how: "value", amount: "false" });
  });
  it.each<[Partial<Form>, object]>([
    [{ at: "5000" }, { shape: "once", at_step: 5000, factor: 0.5 }],
    [{ at: "5000", how: "value", amount: "1e-3" }, { shape: "once", at_step: 5000, value: 0.001 }],
    [{ shape: "repeat", at: "5000", amount: "0.9", every: "1000", until: "20000" }, { at_step: 5000, factor: 0.9, every: 1000, until_step: 20000 }],
    [{ shape: "cosine", at: "5000", amount: "1e-5", until: "9000" }, { at_step: 5000, value: 1e-5, until_step: 9000 }],
  ])("asks for %j", (fields, wanted) => expect(wantedOf(form(fields), lr, 4200).wanted).toMatchObject(wanted));
  it.each<[Partial<Form>, string]>([
    [{ at: "4200" }, "at"],
    [{ at: "soon" }, "at"],
    [{ amount: "-1" }, "amount"],
    [{ amount: "1" }, "amount"],
    [{ shape: "cosine", at: "5000", until: "5000" }, "until"],
    [{ shape: "repeat", every: "0" }, "every"],
  ])("refuses %j at its field", (fields, field) => {
    const { wanted, wrong } = wantedOf(form(fields), lr, 4200);
    expect(wanted).toBeNull();
    expect(wrong[field]).toBeTruthy();
  });
});

it.each<[Pick<Schedule, "shape" | "asked">, string]>([
  [{ shape: "once", asked: { at_step: 5000, factor: 0.5 } }, "× 0.5 at step 5,000"],
  [{ shape: "repeat", asked: { at_step: 5000, factor: 0.9, every: 1000, until_step: 20000 } }, "every 1,000 steps × 0.9, from step 5,000 to step 20,000"],
  [{ shape: "cosine", asked: { at_step: 100, value: 0.001, until_step: 900 } }, "along a cosine to 0.001, from step 100 to 900"],
])("says %j in words", (schedule, words) => expect(scheduleWords(schedule)).toBe(words));

it("tells where a schedule stands", () => {
  const changes = [{ seq: 1, at_step: 10, value: 1, state: "applied" }, { seq: 2, at_step: 20, value: 2, state: "sent" }];
  expect(placeOf({ changes })).toMatchObject({ made: 1, of: 2, next: { at_step: 20 } });
});

it("plans what is left of a schedule anew", () => {
  const change = (at_step: number, state: string) => ({ seq: at_step, at_step, value: 0.1, state });
  const schedule = { tunable: "lr", shape: "repeat", asked: { at_step: 100, factor: 0.9, every: 100, until_step: 400 }, changes: [change(100, "applied"), change(200, "sent")] } as unknown as Schedule;
  expect(againOf(schedule)).toEqual({ tunable: "lr", shape: "repeat", at_step: 200, factor: 0.9, every: 100, until_step: 400 });
  expect(againOf({ ...schedule, shape: "cosine" })).toBeNull(); // begun: the rest would be another curve
  expect(againOf({ ...schedule, changes: [change(100, "applied")] as Schedule["changes"] })).toBeNull();
});
