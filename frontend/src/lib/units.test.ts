import { expect, it } from "vitest";
import { tickLabels, hardwareHeading, heading, unitOf, withUnit } from "./units";

it.each([
  ["_step_seconds", "seconds"], ["gpu0/power_watts", "watts"], ["disk_read_bytes_per_second", "bytes_per_second"],
  ["memory_used_bytes", "bytes"], ["loss", ""], ["_samples_per_second", ""], ["megabytes", ""],
])("%s is in %s", (key, unit) => expect(unitOf(key)).toBe(unit));

it("shows a ratio as percent and a frequency in its own size", () => {
  expect(withUnit(0.5, "ratio")).toBe("50 %");
  expect(withUnit(1.98e9, "hertz")).toBe("1.98 GHz");
  expect(withUnit(NaN, "bytes")).toBe("NaN");
});

it("names our keys in words and leaves others alone", () => {
  expect(heading("_step_seconds")).toBe("Step time");
  expect(heading("val/<img src=x>")).toBe("val/<img src=x>");
  expect(hardwareHeading("gpu1/power_watts")).toBe("GPU 1 · Power");
});

it("writes as many digits on an axis as it takes to tell its ticks apart", () => {
  const [low, step] = [24.5 * 2 ** 30, 2 ** 20];
  expect(new Set(tickLabels([low, low + step, low + 2 * step], "bytes")).size).toBe(3);
  expect(tickLabels([0, null, 2048], "bytes")).toEqual(["0 B", "", "2 KiB"]);
  expect(new Set(tickLabels([100.001, 100.002, 100.003], "")).size).toBe(3);
});
