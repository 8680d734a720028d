/**
 * The page's one websocket: topics with reference counts, reconnection with catch-up, gaps noticed.
 *
 * Nothing on screen may depend on a frame that can be lost. So each subscriber gives `refresh`, which is called
 * whenever frames may have been missed: after a gap in a topic's numbers, and after every reconnection once the server
 * listens for the topic again. Read before that, what comes between the reading and the listening would be in neither.
 *
 * The first reading begins at the same moment as the subscription, or before. So the server is told how long ago that was,
 * and sends first what changed since. Points and lines it does not keep: who reads those waits until it is `heard` that
 * the server listens.
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
  /** Milliseconds that only grow. */
  now: () => number;
  /** The line is tried again in so many milliseconds. */
  waiting: (milliseconds: number) => void;
}

const NOT_LOGGED_IN = 4401; // the server's close code

const PING_MILLISECONDS = 15_000;
const SILENCE_MILLISECONDS = 10_000; // without a pong for so long after a ping, the line counts as dead
const PATIENCE_MILLISECONDS = 1_000; // after which points are read all the same, and once more when the server listens

const MOST_AGO_SECONDS = 86_400; // the server takes no more; it tells of changes long past that they are lost

export class LiveSocket {
  private socket: WebSocket | null = null;
  private topics = new Map<string, Set<Subscriber>>();
  private numbers = new Map<string, number>();
  private missed = new Set<string>(); // topics to be read again once the server says that it listens for them
  private read = new Map<string, number>(); // topic -> when its first subscriber began to read
  private listens = new Set<string>(); // topics that the server has said it listens for, or refuses
  private waiters = new Set<() => void>();
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

  /** Listen to a topic; the returned function stops listening. `since`: when what is shown of it was begun to be read. */
  subscribe(topic: string, subscriber: Subscriber, since = this.around.now()): () => void {
    let listeners = this.topics.get(topic);
    if (!listeners) {
      listeners = new Set();
      this.topics.set(topic, listeners);
      this.numbers.delete(topic);
      this.listens.delete(topic);
      this.read.set(topic, since);
      this.ask([topic]);
    }
    listeners.add(subscriber);
    return () => {
      listeners.delete(subscriber);
      if (listeners.size || this.topics.get(topic) !== listeners) return;
      this.topics.delete(topic);
      this.numbers.delete(topic);
      this.read.delete(topic);
      this.listens.delete(topic);
      this.missed.delete(topic);
      this.look();
      this.send({ type: "unsubscribe", topics: [topic] });
    };
  }

  /** Once the server listens for those of the topics that anybody here listens to; not for ever where it does not answer. */
  listening(topics: readonly string[]): Promise<void> {
    const due = () => (this.socket ? topics.filter((topic) => this.topics.has(topic) && !this.listens.has(topic)) : []);
    if (!due().length) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.waiters.delete(look);
        this.around.cancel(timer);
        resolve();
      };
      const look = () => void (due().length || done());
      const timer = this.around.later(() => {
        for (const topic of due()) this.missed.add(topic);
        done();
      }, PATIENCE_MILLISECONDS);
      this.waiters.add(look);
    });
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
    if (this.wasOpen) this.missed = new Set(this.topics.keys());
    this.listens.clear();
    if (this.topics.size) this.ask([...this.topics.keys()]);
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
    this.listens.clear();
    this.look();
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
      for (const topic of [...(frame.topics ?? []), ...(frame.refused ?? [])]) {
        this.listens.add(topic);
        this.read.delete(topic); // from here on it is told of everything, or read again
      }
      for (const topic of frame.refused ?? []) this.each(topic, (subscriber) => subscriber.refused?.());
      for (const topic of frame.topics ?? []) if (this.missed.delete(topic)) this.each(topic, (subscriber) => subscriber.refresh());
      this.look();
      return;
    }
    const listeners = this.topics.get(frame.topic);
    if (!listeners) return;
    const before = this.numbers.get(frame.topic);
    this.numbers.set(frame.topic, frame.n);
    const gap = before !== undefined && frame.n !== before + 1;
    for (const subscriber of [...listeners]) {
      if (frame.type !== "lost" && frame.type !== "unknown") subscriber.frame(frame);
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

  private ask(topics: string[]): void {
    const began = Math.min(...topics.map((topic) => this.read.get(topic) ?? Infinity));
    const ago = (this.around.now() - began) / 1000;
    const told = Number.isFinite(ago) ? { read_seconds_ago: Math.min(Math.max(0, ago), MOST_AGO_SECONDS) } : {};
    this.send({ type: "subscribe", topics, ...told });
  }

  private look(): void {
    for (const look of [...this.waiters]) look();
  }

  private send(message: unknown): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private each(topic: string, visit: (subscriber: Subscriber) => void): void {
    for (const subscriber of [...(this.topics.get(topic) ?? [])]) visit(subscriber);
  }
}
