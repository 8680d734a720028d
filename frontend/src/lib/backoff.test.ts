import { expect, it } from "vitest";
import { backoffSeconds } from "./backoff";

it("doubles up to fifteen seconds and never waits less than a quarter of one", () => {
  expect(backoffSeconds(0, 0)).toBe(0.25);
  expect(backoffSeconds(3, 1)).toBe(4);
  expect(backoffSeconds(50, 1)).toBe(15);
});
