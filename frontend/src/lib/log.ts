/** Log lines as they are shown: plain text, and progress bars as the one line they rewrite. */
import type { LogLine } from "../api/types";
import { isProgress, plain } from "./terminal";

export interface ShownLine {
  id: number;
  time: number;
  stream: string;
  text: string;
  progress: boolean;
}

export interface ShownLog {
  lines: ShownLine[];
  cut: number; // lines dropped from the top to keep the page light
}

let next = 1;

/** The log with more lines at its end, at most `most` of them. */
export function addLines(log: ShownLog, added: LogLine[], most: number): ShownLog {
  const lines = log.lines.slice();
  for (const [time, stream, raw] of added) {
    const progress = isProgress(raw);
    const line = { id: next++, time, stream, text: plain(raw), progress };
    const last = lines[lines.length - 1];
    // On a terminal the next step of a bar is written over the last one.
    if (progress && last?.progress && last.stream === stream) lines[lines.length - 1] = { ...line, id: last.id };
    else lines.push(line);
  }
  const over = Math.max(0, lines.length - most);
  return { lines: over ? lines.slice(over) : lines, cut: log.cut + over };
}
