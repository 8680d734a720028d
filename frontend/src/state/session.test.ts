// @vitest-environment jsdom
import { expect, it, vi } from "vitest";
import { ask } from "../api/client";
import { session } from "./session.svelte";

const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });

/** A server that answers each question when the test says so. */
function asked() {
  const questions: Record<string, (response: Response) => void> = {};
  vi.stubGlobal("fetch", (where: string) => new Promise<Response>((resolve) => (questions[where.replace("/api/v1/", "")] = resolve)));
  return questions;
}

it("ends with an answer that knows it no more, and not with one to a question from before it was opened again", async () => {
  const questions = asked();
  const load = session.load();
  questions.me(json({ username: "ada", projects: [] }));
  await load;

  const poll = ask("runs/a").catch(() => undefined);
  const slow = ask("runs/b").catch(() => undefined);
  questions["runs/a"](json({ detail: "over" }, 401));
  await poll;
  expect(session.ended).toBe(true);

  const again = session.load(); // the person has logged in in another tab
  questions.me(json({ username: "ada", projects: [] }));
  await again;
  expect(session.ended).toBe(false);
  questions["runs/b"](json({ detail: "over" }, 401));
  await slow;
  expect(session.ended).toBe(false);

  const next = ask("runs/c").catch(() => undefined);
  questions["runs/c"](json({ detail: "over" }, 401));
  await next;
  expect(session.ended).toBe(true);
});
