/** What a page gives to its panels, of whatever kind. */
import type { OfExperiment } from "../../api";
import type { Run } from "../../api/types";
import type { SeriesBoard } from "../board";
import type { ChartGroup } from "../group";
import type { ChartLine } from "../lines";
import type { ChartMark } from "../paint";
import type { View } from "../view.svelte";

export interface PanelSource {
  source: string; // "run:abc", "node:x"
  label: string;
  colour: string;
}

/** Runs that are drawn as one: the members are all of the group's, drawn by themselves or hidden. */
export interface RunGroup {
  name: string;
  colour: string;
  sources: string[];
  members: string[]; // codes of its runs, of very many the first
  runs: number; // how many there are, where not all of them are read
}

/** A row of a page's runs: what of config and summary the panel asked for, by column ("config:lr", "metric:loss"). */
export interface RunRow {
  code: string;
  name: string;
  state: Run["state"];
  colour: string; // "" for a run that is not drawn
  values: Record<string, unknown>;
}

export interface PanelContext {
  board: SeriesBoard;
  sources: PanelSource[];
  groups: RunGroup[] | null;
  view: View;
  group: ChartGroup;
  keys: readonly string[];
  marks?: (lines: ChartLine[]) => ChartMark[];
  onmark?: (mark: ChartMark) => void;
  heading: (key: string) => string;
  chosen?: boolean; // its runs were chosen one by one: what one of them lacks is told
  runs?: RunsContext; // on pages of several runs
}

export interface RunsContext {
  /** Every run of the page with these columns. */
  rows: (columns: string[], signal: AbortSignal) => Promise<RunRow[]>;
  columns: string[]; // what can be asked for, "config:…" first
  differing: string[]; // settings among them that differ between the runs on the charts
  goal: string; // the metric that the experiment is about, or ""
  which: OfExperiment | null; // the same runs as a question to the server, its experiment among it; null where they are of several
  /** Put these on the charts, and no others. */
  choose?: (codes: string[]) => void;
}

/** What every body of a panel gets; `figure` shows a number in the panel's heading. */
export interface BodyProps {
  id: string;
  options: Record<string, unknown>;
  context: PanelContext;
  height: number;
  title: string;
  figure: (text: string, bad?: boolean) => void;
  /** Change this panel's options; missing where it cannot be kept. */
  change?: (options: Record<string, unknown>) => void;
  /** How the panel is kept as a file, "png", "svg" or "csv"; called once it can. */
  files: (formats: readonly string[], save: (format: string) => void | Promise<void>) => void;
}
