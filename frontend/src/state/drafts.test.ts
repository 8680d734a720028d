// @vitest-environment jsdom
import { beforeEach, expect, it, vi } from "vitest";
import { Drafts } from "./drafts.svelte";

let bodies: Record<string, unknown>[] = [];
const answers = (...each: (number | unknown[])[]) =>
  vi.stubGlobal("fetch", async (_: string, options: RequestInit) => {
    bodies.push(JSON.parse(String(options.body)) as Record<string, unknown>);
    const next = each.shift();
    if (next === 0) throw new TypeError("no line");
    const [status, body] = typeof next === "number" ? [next, {}] : [201, next];
    return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
  });

beforeEach(() => {
  bodies = [];
  sessionStorage.clear();
});

it("keeps a change that no answer came to, over a reload too, and asks for it again under the same key", async () => {
  answers(0, []);
  const drafts = new Drafts("otter");
  drafts.type("lr", "0.5");
  drafts.reason = "quicker";
  expect(await drafts.send({ lr: 0.5 })).toBeNull();
  expect(drafts.error).toContain("kept here");
  const again = new Drafts("otter");
  expect([again.typed, again.reason, again.unsure]).toEqual([{ lr: "0.5" }, "quicker", true]);
  expect(await again.send({ lr: 0.5 })).toEqual([]);
  expect(bodies[0]).toEqual(bodies[1]);
  expect(bodies[0]).toMatchObject({ settings: { lr: 0.5 }, reason: "quicker", at_step: null });
  expect([again.typed, again.reason, again.unsure]).toEqual([{}, "", false]);
});

it("sends a switch without the reason and the step of what is drafted beside it, and leaves those there", async () => {
  answers([]);
  const drafts = new Drafts("heron");
  drafts.type("lr", "0.5");
  drafts.reason = "quicker";
  drafts.atStep = "5000";
  await drafts.send({ augment: true }, true);
  expect(bodies[0]).toMatchObject({ settings: { augment: true }, reason: "", at_step: null });
  expect([drafts.typed, drafts.reason, drafts.atStep]).toEqual([{ lr: "0.5" }, "quicker", "5000"]);
});

it("forgets the reason with the last change that it was given for", () => {
  const drafts = new Drafts("crane");
  drafts.type("lr", "0.5");
  drafts.reason = "quicker";
  drafts.type("lr", null);
  expect(drafts.reason).toBe("");
});
