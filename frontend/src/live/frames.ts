/** Frames of /ws/live, as docs/contracts.md section 5 writes them; their types are made from the Python definitions. */
import type { ServerFrame, TopicFrame } from "./frames.made";

export type { ChangedFrame, LinesFrame, LostFrame, PointsFrame, ServerFrame, TopicFrame } from "./frames.made";

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
  if (type === "subscribed" || type === "error") return frame as ServerFrame;
  const known = type === "lost" || type === "points" || type === "lines" || type === "changed";
  return known && typeof topic === "string" && typeof n === "number" ? (frame as TopicFrame) : null;
}
