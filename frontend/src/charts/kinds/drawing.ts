/** The lines of a panel: each of its series over each run, or over each group of runs. */
import type { SeriesBoard } from "../board";
import { calculate } from "../calculate";
import type { ChartLine } from "../lines";
import type { PanelSource, RunGroup } from "../panels/context";
import type { SeriesLine } from "../series";
import { spread, type Band } from "../spread";
import type { LineSeries } from "./line";

const PALETTE_SIZE = 12;
const hasPoints = (line: SeriesLine | null): line is SeriesLine => line !== null && (line.columns.x.length > 0 || line.faded.length > 0 || line.nonFinite.length > 0);

export interface Wanted {
  board: SeriesBoard;
  series: LineSeries[];
  sources: PanelSource[];
  groups: RunGroup[] | null;
  band: Band;
}

export function linesOf({ board, series, sources, groups, band }: Wanted): ChartLine[] {
  const many = series.length > 1;
  const out: ChartLine[] = [];
  series.forEach(({ text, parsed, second }, i) => {
    const { tree, keys } = parsed;
    if (!tree) return;
    const lineOf = (source: string) => calculate(tree, keys, (key) => board.line(source, key));
    const place = (one: boolean, colour: string) => ({
      second,
      // Of several series over one run each has a colour; over several runs the colour is the run's, and later series are dashed.
      colour: many && one ? `--series-${(i % PALETTE_SIZE) + 1}` : colour,
      dashed: many && !one && i > 0,
    });
    if (groups) {
      for (const group of groups) {
        const members = group.sources.map(lineOf).filter(hasPoints);
        if (!members.length) continue;
        const label = `${group.name} (${members.length}${group.runs > members.length ? `/${group.runs}` : ""})${many ? ` · ${text}` : ""}`;
        out.push({ id: `${group.name}\t${i}`, label, runs: band === "none" ? undefined : members.length, ...place(groups.length === 1, group.colour), ...spread(members, band) });
      }
      return;
    }
    for (const { source, label, colour } of sources) {
      const found = lineOf(source);
      if (!hasPoints(found)) continue;
      // The run's own name finds its marks; further series of a run have names of their own.
      out.push({ id: i ? `${source}\t${i}` : source, label: many ? (sources.length > 1 ? `${label} · ${text}` : text) : label, ...place(sources.length === 1, colour), ...found });
    }
  });
  return out;
}
