// @vitest-environment jsdom
import { beforeEach, expect, test, vi } from "vitest";
import * as api from "../api";
import { askFor } from "./ahead";

let asked: string[];
beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  vi.stubGlobal("fetch", async (url: string) => {
    asked.push(url);
    return new Response(JSON.stringify({ results: [], next: null, name: `answer ${asked.length}` }), { status: 200 });
  });
});

const route = { page: "experiment", parameters: { id: "7" }, query: new URLSearchParams() } as const;

test("a page's own first questions get the answers asked for ahead, once", async () => {
  askFor(route);
  expect(asked).toHaveLength(3);
  const [experiment] = await Promise.all([api.experiment("7"), api.runCount({ experiment: "7" })]);
  expect(experiment.name).toBe("answer 1");
  expect(asked).toHaveLength(3);
  await api.experiment("7");
  expect(asked).toHaveLength(4);
});

test("an answer that nobody fetched in time is asked for anew", async () => {
  askFor(route);
  await vi.advanceTimersByTimeAsync(10_001);
  await api.experiment("7");
  expect(asked).toHaveLength(4);
});

test("a failure ahead is told to the page that asks in earnest", async () => {
  vi.stubGlobal("fetch", async () => new Response('{"detail": "No such experiment."}', { status: 404 }));
  askFor(route);
  await expect(api.experiment("7")).rejects.toThrow("No such experiment.");
});
