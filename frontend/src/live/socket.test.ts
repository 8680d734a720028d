// @vitest-environment jsdom
import { beforeEach, describe, expect, it, vi } from "vitest";
import { LiveSocket, type Connection } from "./socket";

class Wire {
  static all: Wire[] = [];
  readyState: number = WebSocket.CONNECTING;
  sent: Record<string, unknown>[] = [];
  onopen: (() => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  constructor() {
    Wire.all.push(this);
  }
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.readyState = WebSocket.CLOSED;
  }
  open() {
    this.readyState = WebSocket.OPEN;
    this.onopen?.();
  }
  fail(code = 1006) {
    this.readyState = WebSocket.CLOSED;
    this.onclose?.({ code });
  }
  say(frame: unknown) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}

let status: Connection[];
let timers: { run: () => void; milliseconds: number; cancelled: boolean }[];
let live: LiveSocket;
let waits: number[];
let clock: number;
const [loggedOut, heard] = [vi.fn(), vi.fn()];
const wire = () => Wire.all[Wire.all.length - 1];
const due = (milliseconds: number) => {
  const found = timers.findLast((timer) => !timer.cancelled && timer.milliseconds === milliseconds);
  if (!found) throw new Error(`no timer of ${milliseconds} ms`);
  found.cancelled = true;
  found.run();
};
const points = (n: number) => ({ type: "points", topic: "run:a", n, branch: 0, columns: {} });

beforeEach(() => {
  Wire.all = [];
  status = [];
  waits = [];
  clock = 5_000;
  heard.mockClear();
  timers = [];
  live = new LiveSocket({
    open: () => new Wire() as unknown as WebSocket,
    url: "ws://test/ws/live",
    later: (run, milliseconds) => timers.push({ run, milliseconds, cancelled: false }),
    cancel: (timer) => {
      if (timer) timers[timer - 1].cancelled = true;
    },
    chance: () => 1,
    status: (connection) => status.push(connection),
    loggedOut,
    heard,
    now: () => clock,
    waiting: (milliseconds) => waits.push(milliseconds),
  });
  live.start();
});

const subscriber = () => ({ frame: vi.fn(), refresh: vi.fn(), refused: vi.fn() });

describe("subscriptions", () => {
  it("asks once for a topic that several listen to, and lets go with the last of them", () => {
    wire().open();
    const [stopOne, stopTwo] = [live.subscribe("run:a", subscriber()), live.subscribe("run:a", subscriber())];
    stopOne();
    expect(wire().sent).toEqual([{ type: "subscribe", topics: ["run:a"], read_seconds_ago: 0 }]);
    stopTwo();
    stopTwo();
    expect(wire().sent.at(-1)).toEqual({ type: "unsubscribe", topics: ["run:a"] });
    expect(wire().sent).toHaveLength(2);
  });

  it("sends what was asked for before the line was open", () => {
    live.subscribe("queue", subscriber());
    wire().open();
    expect(wire().sent).toEqual([{ type: "subscribe", topics: ["queue"], read_seconds_ago: 0 }]);
  });

  it("tells the one who was refused", () => {
    const one = subscriber();
    live.subscribe("run:a", one);
    wire().open();
    wire().say({ type: "subscribed", topics: [], refused: ["run:a"] });
    expect(one.refused).toHaveBeenCalledOnce();
  });
});

describe("what was missed", () => {
  it("is read again after a gap, and only then", () => {
    const one = subscriber();
    live.subscribe("run:a", one);
    wire().open();
    [5, 6, 7].forEach((n) => wire().say(points(n)));
    expect(one.refresh).not.toHaveBeenCalled();
    wire().say(points(9));
    expect(one.refresh).toHaveBeenCalledOnce();
    expect(one.frame).toHaveBeenCalledTimes(4);
  });

  it("is read again when the server says that it lost messages", () => {
    const one = subscriber();
    live.subscribe("run:a", one);
    wire().open();
    wire().say({ type: "lost", topic: "run:a", n: 1 });
    expect(one.refresh).toHaveBeenCalledOnce();
    expect(one.frame).not.toHaveBeenCalled();
  });

  it("is read again after a reconnection, with the topics asked for anew", () => {
    const one = subscriber();
    live.subscribe("run:a", one);
    wire().open();
    wire().say({ type: "subscribed", topics: ["run:a"], refused: [] });
    wire().fail();
    expect(status.at(-1)).toBe("offline");
    due(500);
    wire().open();
    expect(wire().sent).toEqual([{ type: "subscribe", topics: ["run:a"] }]);
    expect(one.refresh).not.toHaveBeenCalled(); // what comes before the server listens would be in neither
    wire().say({ type: "subscribed", topics: ["run:a"], refused: [] });
    expect(one.refresh).toHaveBeenCalledOnce();
    wire().say(points(1)); // numbers start again: no gap
    expect(one.refresh).toHaveBeenCalledOnce();
    expect(status).toEqual(["connecting", "live", "offline", "live"]);
  });
});

describe("what changes between the first reading and the listening", () => {
  it("is asked for by how long ago the reading began, however late the line opens", () => {
    live.subscribe("run:a", subscriber(), 4_800); // asked for while the page's file was fetched
    live.subscribe("queue", subscriber());
    clock = 5_500;
    wire().open();
    expect(wire().sent).toEqual([{ type: "subscribe", topics: ["run:a", "queue"], read_seconds_ago: 0.7 }]);
  });

  it("is asked for where the line opens after days, too, by no more than the server takes", () => {
    live.subscribe("queue", subscriber());
    clock += 3 * 86_400_000;
    wire().open();
    expect(wire().sent).toEqual([{ type: "subscribe", topics: ["queue"], read_seconds_ago: 86_400 }]);
  });

  const settled = async (promise: Promise<void>) => {
    let done = false;
    void promise.then(() => (done = true));
    await Promise.resolve().then(() => undefined);
    return () => done;
  };

  it("holds up who reads points until the server listens, and nobody whose topics it listens for", async () => {
    live.subscribe("run:a", subscriber());
    const waits = await settled(live.listening(["run:a", "run:of-nobody"]));
    wire().open();
    expect(waits()).toBe(false);
    wire().say({ type: "subscribed", topics: ["run:a"], refused: [] });
    await Promise.resolve();
    expect(waits()).toBe(true);
    expect((await settled(live.listening(["run:a"])))()).toBe(true);
  });

  it("is read again where the server answered too late to be waited for", async () => {
    const one = subscriber();
    live.subscribe("run:a", one);
    const waits = await settled(live.listening(["run:a"]));
    due(1_000);
    await Promise.resolve();
    expect(waits()).toBe(true);
    wire().open();
    wire().say({ type: "subscribed", topics: ["run:a"], refused: [] });
    expect(one.refresh).toHaveBeenCalledOnce();
  });

  it("holds up nobody where there is no line, or the topic is refused or left", async () => {
    const leave = live.subscribe("run:a", subscriber());
    const [first, second] = [await settled(live.listening(["run:a"])), await settled(live.listening(["run:a"]))];
    leave();
    await Promise.resolve();
    expect([first(), second()]).toEqual([true, true]);
    live.subscribe("run:b", subscriber());
    const third = await settled(live.listening(["run:b"]));
    wire().fail();
    await Promise.resolve();
    expect(third()).toBe(true);
  });
});

describe("the line", () => {
  it("waits longer after each failure", () => {
    wire().fail();
    due(500);
    wire().fail();
    due(1000);
    wire().fail();
    due(2000);
    expect(Wire.all).toHaveLength(4);
    expect(waits).toEqual([500, 1000, 2000]); // the page tells when it is tried again
  });

  it("counts as dead when a ping stays unanswered", () => {
    wire().open();
    due(15_000);
    expect(wire().sent.at(-1)).toEqual({ type: "ping" });
    wire().say({ type: "pong" });
    expect(heard).toHaveBeenCalledOnce();
    due(15_000);
    due(10_000);
    expect(status.at(-1)).toBe("offline");
  });

  it("sends the person to the login when the server says the session is over", () => {
    wire().open();
    wire().fail(4401);
    expect(loggedOut).toHaveBeenCalledOnce();
  });

  it("survives what it cannot read", () => {
    wire().open();
    for (const data of ["{", "null", '"x"', '{"type":"new"}', '{"type":"points"}']) wire().onmessage?.({ data });
    expect(status.at(-1)).toBe("live");
  });
});
