import { expect, it } from "vitest";
import type { Controller } from "../api/types";
import { beforeOf, changesOf, defaultOf } from "./controller";
import { labelOf } from "./policies";

const controller = {
  mode: "act", policies: { divergence: { enabled: true, factor: 0.3, metric: "" } }, guards: { cooldown_steps: 50 }, available: [], changed_at: null,
} as Controller;

it("sends only what differs from what is in force", () => {
  const drafts = { "policies.divergence.factor": "0.30", "policies.divergence.enabled": false, "policies.divergence.metric": " val/loss ", "guards.cooldown_steps": "80" };
  expect(changesOf(controller, drafts)).toEqual({ errors: {}, body: { policies: { divergence: { enabled: false, metric: "val/loss" } }, guards: { cooldown_steps: 80 } } });
  expect(changesOf(controller, {}).body).toEqual({});
  expect(changesOf({ ...controller, learning: "use" }, { learning: "teach" }).body).toEqual({ learning: "teach" });
  expect(changesOf({ ...controller, learning: "use" }, { learning: "use" }).body).toEqual({});
});

it("names the field that is not a number", () => {
  expect(Object.keys(changesOf(controller, { "guards.cooldown_steps": "soon" }).errors)).toEqual(["guards.cooldown_steps"]);
});

it("says what the default would be, where another figure is in force", () => {
  expect([defaultOf(0.3, 0.3), defaultOf(0.5, 0.3), defaultOf("loss", "")]).toEqual(["", "By default 0.3", "By default empty"]);
  expect(labelOf("factor_when_never_healthy")).toBe("Factor when never healthy");
});

it("knows what takes a change back: the figures that are in force now", () => {
  const { body } = changesOf(controller, { mode: "off", "policies.divergence.factor": "0.5", "guards.cooldown_steps": "80" });
  expect(beforeOf(controller, body)).toEqual({ mode: "act", policies: { divergence: { factor: 0.3 } }, guards: { cooldown_steps: controller.guards.cooldown_steps } });
});
