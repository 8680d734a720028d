/** A run's marks on the axis of its charts. */
import type { Mark, RunEvent } from "../api/types";
import { lowerIndex, type Columns, type XAxis } from "./columns";

export interface PlacedMark {
  id: string; // "command:12"
  kind: Mark["kind"];
  x: number;
  label: string;
  tone: "good" | "bad" | "warn" | "accent" | "quiet";
  run?: string; // where several runs share a chart
  colour?: string; // that run's line's
}

const TONES = new Set(["good", "bad", "warn", "accent", "quiet"]);
const USUAL: Record<Mark["kind"], PlacedMark["tone"]> = { command: "accent", decision: "accent", checkpoint: "quiet", event: "quiet", alert: "warn" };

interface Line {
  id?: string;
  label?: string;
  colour?: string;
  columns: Columns;
}

/** Seconds by which the clock of a run's process is ahead of the server's, where the server noted it. Points have the process's times. */
export const clockAhead = (events: readonly Pick<RunEvent, "data">[] = []): number =>
  events.map(({ data }) => data.clock_ahead_seconds).find((each) => typeof each === "number") ?? 0;

/** A function from a chart's lines to its marks; those without a place on this axis are left out. Each goes by the clock of its run's points. */
export function placeMarks(marks: Mark[], axis: XAxis): (lines: Line[]) => PlacedMark[] {
  return (lines) => {
    const first = lines.find((line) => line.columns.x.length);
    const own = new Map(lines.map((line) => [line.id, line]));
    const out: PlacedMark[] = [];
    for (const mark of marks) {
      // Among several runs a mark stands on its own run's axis, in its colour, and goes when that run is not drawn.
      const line = mark.run === undefined ? first : own.get(`run:${mark.run}`);
      if (mark.run !== undefined && !line) continue;
      const columns = line?.columns;
      const x = position(mark, axis, columns);
      if (x === null) continue;
      const tone = TONES.has(mark.tone) ? (mark.tone as PlacedMark["tone"]) : (TONE_WORDS[mark.tone] ?? USUAL[mark.kind] ?? "quiet");
      const placed: PlacedMark = { id: `${mark.kind}:${mark.id}`, kind: mark.kind, x, label: mark.label, tone };
      out.push(mark.run === undefined ? placed : { ...placed, run: mark.run, colour: line?.colour, label: `${line?.label ?? mark.run}: ${mark.label}` });
    }
    return out;
  };
}

// Words that say the same.
const TONE_WORDS: Record<string, PlacedMark["tone"]> = {
  danger: "bad", error: "bad", warning: "warn", success: "good", info: "accent",
};

function position(mark: Mark, axis: XAxis, columns: Columns | undefined): number | null {
  if (axis === "step") return mark.step;
  const seconds = (typeof mark.at === "number" ? mark.at : Date.parse(mark.at) / 1000) + mark.clock_ahead_seconds;
  if (axis === "time") return seconds;
  if (!columns) return null;
  if (axis === "relative") return seconds - (columns.time[0] - columns.x[0]);
  if (axis === "relative_step") return mark.step === null ? null : mark.step - (columns.step[0] - columns.x[0]);
  // Another key as the axis: where that key stood at the mark's step.
  const at = mark.step === null ? -1 : lowerIndex(columns.step, mark.step);
  return at < 0 ? null : columns.x[at];
}

/** The tab of a run's page that tells more about a mark. */
export const tabOf = (kind: Exclude<Mark["kind"], "alert">): string =>
  ({ command: "control", decision: "decisions", checkpoint: "checkpoints", event: "events" })[kind];

/** Where more is told about a mark of a run. */
export function addressOf(mark: Pick<PlacedMark, "id" | "kind">, run: string): string {
  if (mark.kind === "alert") return `/alerts?run=${encodeURIComponent(run)}`;
  return `/runs/${encodeURIComponent(run)}?tab=${tabOf(mark.kind)}&at=${mark.id.split(":")[1]}`;
}
