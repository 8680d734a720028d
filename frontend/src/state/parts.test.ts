// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Parts } from "./parts.svelte";

const part = (name: string) => Object.assign(() => ({}), { called: name }) as never;
const loader = (name: string) => vi.fn(() => Promise.resolve({ default: part(name) }));

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it("fetches a part once, however often it is wanted", async () => {
  const logs = loader("logs");
  const parts = new Parts({ logs });
  await Promise.all([parts.want("logs"), parts.want("logs")]);
  await parts.want("logs");
  expect(logs).toHaveBeenCalledTimes(1);
  expect(parts.here.logs).toHaveProperty("called", "logs");
});

it("asks for nothing of a name that it does not know", async () => {
  const parts = new Parts({});
  await parts.want("charts");
  expect([parts.failed, Object.keys(parts.here)]).toEqual(["", []]);
});

it("says what could not be fetched and fetches it when it is wanted again", async () => {
  const away = vi.fn().mockRejectedValueOnce(new TypeError("offline")).mockResolvedValueOnce({ default: part("logs") });
  const parts = new Parts({ logs: away });
  await parts.want("logs");
  expect(parts.failed).toBe("logs");
  await parts.want("logs");
  expect([parts.failed, "logs" in parts.here]).toEqual(["", true]);
});

it("fetches the rest once the page is quiet, one after the other, and not where it was left", async () => {
  const [logs, system] = [loader("logs"), loader("system")];
  new Parts({ logs, system }).rest()();
  await vi.runAllTimersAsync();
  expect(logs).not.toHaveBeenCalled();
  new Parts({ logs, system }).rest();
  await vi.runAllTimersAsync();
  expect([logs, system].map((each) => each.mock.calls.length)).toEqual([1, 1]);
});

it("leaves the rest alone where a person saves data", async () => {
  const logs = loader("logs");
  vi.stubGlobal("navigator", { connection: { saveData: true } });
  new Parts({ logs }).rest();
  await vi.runAllTimersAsync();
  vi.unstubAllGlobals();
  expect(logs).not.toHaveBeenCalled();
});
