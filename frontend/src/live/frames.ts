/** Frames of /ws/live, as docs/contracts.md section 5 writes them; their types are made from the Python definitions. */
import type { ServerFrame, TopicFrame } from "./frames.made";

export type { ChangedFrame, LinesFrame, LostFrame, OpenLinesFrame, PointsFrame, ServerFrame, TopicFrame } from "./frames.made";

/** A message of a topic that a newer server sends: it counts in the topic's numbers all the same. */
export interface UnknownFrame {
  type: "unknown";
  topic: string;
  n: number;
}
const OF_TOPICS = new Set(["lost", "points", "lines", "open_lines", "changed"]);

/** A frame from the wire, or null for what this version of the page does not know. */
export function parseFrame(text: unknown): ServerFrame | UnknownFrame | null {
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
  if (type === "subscribed" || type === "error") return frame as ServerFrame;
  if (typeof topic !== "string" || typeof n !== "number") return null;
  return OF_TOPICS.has(type as string) ? (frame as TopicFrame) : { type: "unknown", topic, n };
}
