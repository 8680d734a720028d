import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import server from "../words/zh/server";
import { hear, said } from "./said";

afterEach(() => hear(null));

it("leaves what the server wrote as it is where no catalogue is heard", () => {
  expect(said("waits for 1 GPU: none is free")).toBe("waits for 1 GPU: none is free");
  expect(said(null)).toBe("");
});

describe("patterns", () => {
  beforeEach(() => hear({ "waits for {what}: {why}": "等待 {what}：{why}", "{n} GPUs": "{n} 个 GPU", "none is free": "没有空闲", "it ended: {name}": "已结束：{name}", stopped: "停了", "a (b) {x}*": "{x}乙" }));

  it.each([
    ["waits for 4 GPUs: none is free", "等待 4 个 GPU：没有空闲"],
    ["waits for 4 TPUs: none is free", "等待 4 TPUs：没有空闲"], // a part that nobody translated stays
    ["it ended: stopped", "已结束：stopped"], // a name is no sentence
    ["a (b) 7*", "7乙"],
    ["waits for", "waits for"],
    ["it ended: one\ntwo", "已结束：one\ntwo"],
  ])("says %s", (text, other) => expect(said(text)).toBe(other));
});

describe("Simplified Chinese of what the server says", () => {
  beforeEach(() => hear(server));
  const names = (sentence: string): string => [...sentence.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort().join();

  it("keeps the values of each pattern but counts that a plural tells", () => {
    expect(Object.entries(server).filter(([english, chinese]) => names(english) !== names(chinese) || !chinese)).toEqual([]);
  });

  const made = JSON.parse(readFileSync("../tests/contract/fixtures/said.json", "utf8")) as string[];
  it.each(made)("%s", (sentence) => {
    // Names and keys stay; nothing else is English.
    const left = said(sentence).replace(/\b(GPU|CPU|GiB|loss|lr|gpu-\d+)\b/g, "").match(/[A-Za-z]{2,}/g);
    expect(left).toBeNull();
  });
});
