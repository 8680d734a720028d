import { beforeEach, expect, it } from "vitest";
import { ApiError } from "../api/client";
import { Intents } from "./intent";

let time: number;
let keys: string[];
let intents: Intents;
const pause = { verb: "pause" };
const sends = (answer: () => unknown) => async (body: { key: string }) => {
  keys.push(body.key);
  return answer();
};
const failing = (status: number) => sends(() => { throw new ApiError(status, "no"); });

beforeEach(() => {
  [time, keys] = [0, []];
  intents = new Intents(() => time);
});

it.each([0, 502, 401])("asks again with the same key after no answer (%i), and with a new one after an answer", async (status) => {
  await expect(intents.ask(pause, failing(status))).rejects.toThrow("no");
  await intents.ask({ verb: "stop" }, sends(() => "taken"));
  expect(await intents.ask(pause, sends(() => "taken"))).toBe("taken");
  await intents.ask(pause, sends(() => "taken"));
  const [lost, other, again, next] = keys;
  expect(again).toBe(lost);
  expect(new Set([lost, other, next]).size).toBe(3);
});

it("takes a refusal for an answer", async () => {
  await expect(intents.ask(pause, failing(400))).rejects.toThrow("no");
  await intents.ask(pause, sends(() => "taken"));
  expect(keys[0]).not.toBe(keys[1]);
});

it("means anew what is asked minutes later", async () => {
  await expect(intents.ask(pause, failing(0))).rejects.toThrow("no");
  time = 121_000;
  await intents.ask(pause, sends(() => "taken"));
  expect(keys[0]).not.toBe(keys[1]);
});

it("has one key for two clicks before the first is answered", async () => {
  await Promise.all([intents.ask(pause, sends(() => "taken")), intents.ask(pause, sends(() => "taken"))]);
  expect(keys[0]).toBe(keys[1]);
});
