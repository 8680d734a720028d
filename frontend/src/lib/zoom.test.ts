import { expect, test } from "vitest";
import { clampRange, pinched, zoomAbout } from "./zoom";

test.each([
  [[20, 40], [20, 40]], [[-10, 10], [0, 20]], [[90, 110], [80, 100]], [[0, 100], null], [[-50, 200], null], [[5, 5], null],
] as const)("%j within 0 to 100 is %j", (range, within) => expect(clampRange([...range], [0, 100])).toEqual(within));

test("nearer about a value keeps it in its place", () => expect(zoomAbout([0, 100], [0, 100], 25, 0.5)).toEqual([12.5, 62.5]));
test("further at last shows everything", () => expect(zoomAbout([12.5, 62.5], [0, 100], 25, 4)).toBeNull());

test("what was under two fingers stays under them", () => {
  const [min, max] = pinched([0, 100], [0, 100], 200, [80, 120], [60, 140])!; // 40 to 60 were under them
  expect([min + ((max - min) * 60) / 200, min + ((max - min) * 140) / 200]).toEqual([40, 60]);
});
test("fingers that meet or cross show at most everything, and turn nothing around", () => {
  expect(pinched([20, 80], [0, 100], 200, [80, 120], [100, 99])).toBeNull();
  const [min, max] = pinched([20, 30], [0, 100], 200, [80, 120], [110, 90])!;
  expect(max).toBeGreaterThan(min);
});
test("two fingers moved together move the picture", () => expect(pinched([40, 60], [0, 100], 200, [50, 150], [70, 170])).toEqual([38, 58]));
