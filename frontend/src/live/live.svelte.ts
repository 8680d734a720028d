/** The one connection of this page, and what it is honest to say about it. */
import { aheadSince, ask } from "../api/client";
import { LiveSocket, type Connection, type Subscriber } from "./socket";

class LiveState {
  connection = $state<Connection>("connecting");
  since = $state(Date.now());
  /** When anything was last heard on the line, and when it is tried again; by this computer's clock. */
  heard = $state(Date.now());
  next = $state(0);
}

const HEARD_MILLISECONDS = 500; // told no more often than it can be read

export const liveState = new LiveState();

const socket = new LiveSocket({
  open: (url) => new WebSocket(url),
  url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/live`,
  later: (run, milliseconds) => window.setTimeout(run, milliseconds),
  cancel: (timer) => window.clearTimeout(timer),
  chance: Math.random,
  now: () => performance.now(),
  // The next question to the API answers 401, which leads to the login and back to this page.
  loggedOut: () => void ask("me").catch(() => undefined),
  heard: () => {
    if (Date.now() - liveState.heard > HEARD_MILLISECONDS) liveState.heard = Date.now();
  },
  waiting: (milliseconds) => (liveState.next = Date.now() + milliseconds),
  status: (connection) => {
    liveState.heard = Date.now();
    if (liveState.connection === connection) return;
    liveState.connection = connection;
    liveState.since = Date.now();
  },
});

export function startLive(): void {
  socket.start();
  window.addEventListener("online", () => socket.nudge());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) socket.nudge();
  });
}

/** Try the line again now. */
export const tryNow = (): void => socket.nudge();

/** Listen to a topic. What is shown of it is begun to be read now, or was asked for while the page's file was fetched. */
export const subscribe = (topic: string, subscriber: Subscriber): (() => void) => socket.subscribe(topic, subscriber, Math.min(performance.now(), aheadSince()));

/** Before points or lines of these topics are read for the first time. */
export const listening = (topics: readonly string[]): Promise<void> => socket.listening(topics);
