/** Made by `make types` from monitoring/live/frames.py: change that, not this file. */

export interface ColumnFrame {
  step: number[];
  time: number[];
  value: (number | string)[];
}

export interface PointsFrame {
  type: "points";
  branch: number;
  columns: Record<string, ColumnFrame>;
  topic: string;
  n: number;
}

export interface LinesFrame {
  type: "lines";
  lines: [number, string, string][];
  topic: string;
  n: number;
}

export interface OpenLinesFrame {
  type: "open_lines";
  sender: string;
  whose: string;
  at: number;
  lines: [number, string, string][];
  topic: string;
  n: number;
}

export interface ChangedFrame {
  type: "changed";
  what: string;
  at: number;
  data: Record<string, unknown>;
  topic: string;
  n: number;
}

export interface LostFrame {
  type: "lost";
  topic: string;
  n: number;
}

export interface SubscribedFrame {
  type: "subscribed";
  topics: string[];
  refused: string[];
}

export interface PongFrame {
  type: "pong";
}

export interface ErrorFrame {
  type: "error";
  message: string;
}

export type TopicFrame = PointsFrame | LinesFrame | OpenLinesFrame | ChangedFrame | LostFrame;
export type ServerFrame = TopicFrame | SubscribedFrame | PongFrame | ErrorFrame;
