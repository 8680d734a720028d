import { describe, expect, it } from "vitest";
import { ago, bytes, duration, exact, number, percent } from "./format";

describe("number", () => {
  it.each([
    [0, "0"], [0.5, "0.5"], [0.123456, "0.1235"], [0.00042, "0.00042"], [1.25e-7, "1.25e-7"], [12345, "12,345"],
    [1234.567, "1,234.6"], [1_200_000, "1.2M"], [3e9, "3G"], [-0.25, "-0.25"], [1e20, "1e20"],
    [NaN, "NaN"], [Infinity, "∞"], [null, "–"], [undefined, "–"],
  ])("%s reads %s", (value, text) => expect(number(value)).toBe(text));
});

describe("exact", () => {
  it.each([[0.001, "0.001"], [3e-7, "3e-7"], [64, "64"], [true, "on"], ["cosine", "cosine"], [null, "–"]])(
    "%s reads %s", (value, text) => expect(exact(value)).toBe(text));
});

describe("bytes", () => {
  it.each([[0, "0 B"], [1023, "1023 B"], [1024, "1 KiB"], [1_572_864, "1.5 MiB"], [85_899_345_920, "80 GiB"]])(
    "%s reads %s", (value, text) => expect(bytes(value)).toBe(text));
});

describe("percent", () => {
  it.each([[0, "0 %"], [0.5, "50 %"], [0.123456, "12.3 %"], [0.01234, "1.2 %"], [1, "100 %"], [null, "–"]])(
    "%s reads %s", (value, text) => expect(percent(value)).toBe(text));
});

describe("duration", () => {
  it.each([
    [0, "0 s"], [0.00034, "340 µs"], [0.25, "250 ms"], [4.21, "4.2 s"], [59.7, "1 m 00 s"], [245, "4 m 05 s"],
    [11_520, "3 h 12 m"], [187_200, "2 d 4 h"], [null, "–"],
  ])("%s reads %s", (value, text) => expect(duration(value)).toBe(text));
});

describe("ago", () => {
  it.each([[0.4, "now"], [12.9, "12 s ago"], [200, "3 min ago"], [-200, "in 3 min"], [90_000, "1 d ago"]])(
    "%s reads %s", (value, text) => expect(ago(value)).toBe(text));
});
