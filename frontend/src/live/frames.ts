/** Frames of /ws/live, as docs/contracts.md section 5 writes them. */
import type { LogLine } from "../api/types";

export interface PointColumns {
  [key: string]: { step: number[]; time: number[]; value: (number | string | null)[] };
}

export interface PointsFrame {
  type: "points";
  topic: string;
  n: number;
  branch: number;
  columns: PointColumns;
}

export interface LinesFrame {
  type: "lines";
  topic: string;
  n: number;
  lines: LogLine[];
}

export interface ChangedFrame {
  type: "changed";
  topic: string;
  n: number;
  what: string;
  at: number;
  data: Record<string, unknown>;
}

/** Messages were lost on their way to the server, or were too many to send: read the store again. */
export interface LostFrame {
  type: "lost";
  topic: string;
  n: number;
}

export type TopicFrame = LostFrame | PointsFrame | LinesFrame | ChangedFrame;
export type ServerFrame =
  | TopicFrame
  | { type: "subscribed"; topics: string[]; refused: string[] }
  | { type: "pong" };

/** A frame from the wire, or null for what this version of the page does not know. */
export function parseFrame(text: unknown): ServerFrame | null {
  if (typeof text !== "string") return null;
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    return null;
  }
  if (frame === null || typeof frame !== "object") return null;
  const { type, topic, n } = frame as Record<string, unknown>;
  if (type === "pong") return { type };
  if (type === "subscribed") return frame as ServerFrame;
  const known = type === "lost" || type === "points" || type === "lines" || type === "changed";
  return known && typeof topic === "string" && typeof n === "number" ? (frame as TopicFrame) : null;
}
