import { describe, expect, it } from "vitest";
import { evaluate, parseExpression, quoted } from "./expression";

const KNOWN = ["loss", "val/loss", "acc", "val-loss", "top5", "2nd", "odd name (x)", "log"];
const values: Record<string, number> = { loss: 8, "val/loss": 2, acc: 0.75, "val-loss": 5, top5: 3, "2nd": 4, 'say "hi"': 6, log: 100 };
const at = (text: string) => {
  const { tree, error } = parseExpression(text, KNOWN);
  return tree ? evaluate(tree, (key) => values[key] ?? NaN) : error;
};

it.each([
  ["1 - acc", 0.25], ["loss / val/loss", 4], ["loss/acc", 32 / 3], ["val/loss", 2], ["val-loss", 5], ["loss - acc*2", 6.5],
  ["-loss + 1", -7], ["2 ^ 3 ^ 2 + 0*acc", 512], ["-2^2 * acc", -3], ["2nd + 1", 5], ["2 * 2nd", 8], ["(loss + top5) * 2", 22],
  ["log10(log)", 2], ["log + 0", 100], ["max(acc, 1, loss)", 8], ['"say ""hi""" + 1', 7], ["1e2 * acc", 75], ["loss-1", 7],
])("%s is %d", (text, value) => expect(at(text)).toBe(value));

describe("errors in words", () => {
  it.each([
    ["", /Write a metric/], ["1 + 2", /names no metric/], ["(loss", /“\)” is missing/], ["loss acc", /Expected an operator at “acc”/],
    ["loss +", /ends too soon/], ["sqrt(acc, loss)", /sqrt takes 1 to 1 values, not 2/], ['"loss', /quote is missing/], ["loss + $x", /Expected a metric or a number at “\$x”/],
    ["x".repeat(2000), /longer than 1000/], [`${"(".repeat(90)}acc${")".repeat(90)}`, /deeper than 50/], ["loss)", /Expected an operator at “\)”/],
    ['alert(1)', /Expected an operator/], ["constructor(acc)", /Expected an operator/], ['""', /no name/],
  ])("%s", (text, words) => expect(at(text)).toMatch(words));
});

it("is not code: what is no metric and no function has no meaning", () => {
  const { tree, keys } = parseExpression("constructor.constructor", KNOWN);
  expect(keys).toEqual(["constructor.constructor"]);
  expect(evaluate(tree!, (key) => values[key] ?? NaN)).toBeNaN();
});

it.each([["loss"], ["val/loss"], ["odd name (x)"], ['say "hi"'], ["log"], ["<img src=x onerror=alert(1)>"], ["2nd"]])("%s is written so that it is read again", (key) =>
  expect(parseExpression(quoted(key)).keys).toEqual([key]));
