/**
 * The page's one websocket: topics with reference counts, reconnection with catch-up, gaps noticed.
 *
 * Nothing on screen may depend on a frame that can be lost. So each subscriber gives `refresh`, which is called
 * whenever frames may have been missed: after a gap in a topic's numbers, and after every reconnection once the server
 * listens for the topic again. Read before that, what comes between the reading and the listening would be in neither.
 */
import { backoffSeconds } from "../lib/backoff";
import { parseFrame, type LostFrame, type TopicFrame } from "./frames";

export interface Subscriber {
  frame: (frame: Exclude<TopicFrame, LostFrame>) => void;
  refresh: () => void;
  refused?: () => void;
}

export type Connection = "connecting" | "live" | "offline";

export interface Surroundings {
  open: (url: string) => WebSocket;
  url: string;
  later: (run: () => void, milliseconds: number) => number;
  cancel: (timer: number) => void;
  chance: () => number;
  status: (connection: Connection) => void;
  loggedOut: () => void;
  /** Something came: the line is alive. */
  heard: () => void;
  /** The line is tried again in so many milliseconds. */
  waiting: (milliseconds: number) => void;
}

const NOT_LOGGED_IN = 4401; // the server's close code

const PING_MILLISECONDS = 15_000;
const SILENCE_MILLISECONDS = 10_000; // without a pong for so long after a ping, the line counts as dead

export class LiveSocket {
  private socket: WebSocket | null = null;
  private topics = new Map<string, Set<Subscriber>>();
  private numbers = new Map<string, number>();
  private missed = new Set<string>(); // topics that the server has not said yet it listens for again
  private attempt = 0;
  private timers = { reconnect: 0, ping: 0, silence: 0 };
  private wasOpen = false;
  private closed = false;

  constructor(private around: Surroundings) {}

  start(): void {
    this.closed = false;
    this.connect();
  }

  stop(): void {
    this.closed = true;
    for (const timer of Object.values(this.timers)) this.around.cancel(timer);
    this.drop();
  }

  /** Listen to a topic; the returned function stops listening. */
  subscribe(topic: string, subscriber: Subscriber): () => void {
    let listeners = this.topics.get(topic);
    if (!listeners) {
      listeners = new Set();
      this.topics.set(topic, listeners);
      this.numbers.delete(topic);
      this.send({ type: "subscribe", topics: [topic] });
    }
    listeners.add(subscriber);
    return () => {
      listeners.delete(subscriber);
      if (listeners.size || this.topics.get(topic) !== listeners) return;
      this.topics.delete(topic);
      this.numbers.delete(topic);
      this.send({ type: "unsubscribe", topics: [topic] });
    };
  }

  /** Try again at once: the network came back, or the page was woken. */
  nudge(): void {
    if (this.closed) return;
    if (this.socket?.readyState === WebSocket.OPEN) this.ping();
    else if (!this.socket) this.connect();
  }

  private connect(): void {
    if (this.socket || this.closed) return;
    this.around.cancel(this.timers.reconnect);
    if (!this.wasOpen) this.around.status("connecting");
    const socket = this.around.open(this.around.url);
    this.socket = socket;
    socket.onopen = () => this.opened();
    socket.onmessage = (event) => this.received(event.data);
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      if (event.code === NOT_LOGGED_IN) this.around.loggedOut();
      this.lost();
    };
  }

  private opened(): void {
    this.attempt = 0;
    this.numbers.clear(); // numbers count from this connection on
    this.missed = new Set(this.wasOpen ? this.topics.keys() : []);
    if (this.topics.size) this.send({ type: "subscribe", topics: [...this.topics.keys()] });
    this.around.status("live");
    this.wasOpen = true;
    this.schedulePing();
  }

  private lost(): void {
    this.drop();
    this.around.status("offline");
    if (this.closed) return;
    // What was missed before the first connection counts as missed too.
    this.wasOpen = true;
    const pause = 1000 * backoffSeconds(this.attempt++, this.around.chance());
    this.around.waiting(pause);
    this.timers.reconnect = this.around.later(() => this.connect(), pause);
  }

  private drop(): void {
    this.around.cancel(this.timers.ping);
    this.around.cancel(this.timers.silence);
    const socket = this.socket;
    this.socket = null;
    if (socket) {
      socket.onclose = socket.onmessage = socket.onopen = null;
      socket.close();
    }
  }

  private received(data: unknown): void {
    this.around.cancel(this.timers.silence);
    this.around.heard();
    const frame = parseFrame(data);
    if (!frame || frame.type === "pong" || frame.type === "error") return;
    if (frame.type === "subscribed") {
      for (const topic of frame.refused ?? []) this.each(topic, (subscriber) => subscriber.refused?.());
      for (const topic of frame.topics ?? []) if (this.missed.delete(topic)) this.each(topic, (subscriber) => subscriber.refresh());
      return;
    }
    const listeners = this.topics.get(frame.topic);
    if (!listeners) return;
    const before = this.numbers.get(frame.topic);
    this.numbers.set(frame.topic, frame.n);
    const gap = before !== undefined && frame.n !== before + 1;
    for (const subscriber of [...listeners]) {
      if (frame.type !== "lost") subscriber.frame(frame);
      if (gap || frame.type === "lost") subscriber.refresh();
    }
  }

  private schedulePing(): void {
    this.timers.ping = this.around.later(() => this.ping(), PING_MILLISECONDS);
  }

  private ping(): void {
    this.around.cancel(this.timers.ping);
    this.around.cancel(this.timers.silence);
    this.send({ type: "ping" });
    this.timers.silence = this.around.later(() => this.lost(), SILENCE_MILLISECONDS);
    this.schedulePing();
  }

  private send(message: unknown): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private each(topic: string, visit: (subscriber: Subscriber) => void): void {
    for (const subscriber of [...(this.topics.get(topic) ?? [])]) visit(subscriber);
  }
}
