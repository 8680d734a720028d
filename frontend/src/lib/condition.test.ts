import { expect, it } from "vitest";
import type { Condition } from "../api/types";
import { eta, told } from "./condition";

const of = (more: Partial<Condition>): Condition => ({ state: "healthy", figures: {}, step: 400, total_steps: null, step_seconds: 0.5, eta_seconds: null, ...more });

it.each([
  [{ state: "diverged", figures: { metric: "loss", step: 1234 } }, "bad", "loss is broken since step 1,234"],
  [{ state: "recovering", figures: { metric: "loss", step: 390, since: 782, level: 4.2e9, healthy: 0.34, change: { tunable: "lr", value: 0.03, step: 780 } } }, "warn", "loss falls again since step 782, after lr became 0.03 at step 780: now 4.2G, healthy at 0.34"],
  [{ state: "recovered", figures: { metric: "loss", step: 390, since: 1450, level: 0.33, healthy: 0.34 } }, "good", "loss is well again since step 1,450; it was broken from step 390 on"],
  [{ state: "plateau", figures: { metric: "loss", steps: 500 } }, "warn", "loss has hardly improved over the last 500 steps"],
  [{ state: "stalled", figures: { seconds: 90 } }, "bad", "The process lives, and has made no step for 1 m 30 s"],
  [{ state: "slow_loader", figures: { share: 0.4 } }, "warn", "Steps wait for their data for 40 % of the time"],
  [{ state: "early", figures: {} }, "quiet", "Too few points have come to judge it"],
] as const)("%j is told", (condition, tone, why) => expect(told(of(condition))).toMatchObject({ tone, why }));

it("has nothing to say of what is over", () => expect(told(of({ state: "ended" }))).toBeNull());

it("tells an ETA only where there is one", () => {
  expect(eta(of({ total_steps: 1000, eta_seconds: 300 })).text).toBe("5 m 00 s");
  expect(eta(of({})).why).toMatch(/does not say where it ends/);
  expect(eta(of({ total_steps: 1000 })).why).toBe("It makes no steps now");
});
