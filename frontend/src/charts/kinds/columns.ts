/** Columns of runs as panels ask for them: "config:lr", "metric:loss". */
import { cell } from "../../lib/columns";
import type { PanelContext, RunGroup, RunRow } from "../panels/context";

export const nameOf = (column: string): string => column.replace(/^(config|metric):/, "");

// What a training is mostly about, by how such metrics are called; "val/loss", "eval.loss" and "test_loss" are one of their kind.
const ABOUT = [
  /^loss$/i, /^(val|valid|validation|eval|test|dev)[/._-]loss$/i, /(^|[/._-])loss$/i,
  /(^|[/._-])(acc|accuracy|reward|return|score|f1|auc|map|bleu|perplexity|ppl|error)$/i,
];
const COUNTS = /(^|[/._-])(epoch|step|iteration|iter|lr|learning_rate|time|seconds)s?$/i; // how far it is, and what was set
const OURS = /^_/;

/** The metric that a panel begins with: the goal, else a loss, else a score, else any that is no counter. */
export function firstKey({ runs, keys }: Pick<PanelContext, "runs" | "keys">): string {
  const named = ABOUT.map((name) => keys.find((key) => name.test(key) && !OURS.test(key)));
  return runs?.goal || named.find(Boolean) || keys.find((key) => !OURS.test(key) && !COUNTS.test(key)) || keys.find((key) => !OURS.test(key)) || keys[0] || "";
}

export const firstMetric = (context: PanelContext): string => firstKey(context) && `metric:${firstKey(context)}`;

/** Settings to begin with: such as differ between the runs on the charts. */
export const firstSettings = ({ runs }: PanelContext, most: number): string[] => (runs?.differing ?? []).slice(0, most);

/** A value as a number to be drawn, NaN where it is none. */
export const numberOf = (value: unknown): number => (typeof value === "boolean" ? Number(value) : typeof value === "number" ? value : cell(value));

export interface BarRow {
  id: string;
  name: string;
  href: string | null;
  colour: string;
  value: number;
  deviation: number; // 0 for a single run
}

/** The bars, the greatest first; of groups the mean of their runs with its deviation. Runs without a finite value are counted. */
export function barRows(rows: RunRow[], column: string, groups: RunGroup[] | null): { bars: BarRow[]; without: number } {
  const values = new Map(rows.map((row) => [row.code, numberOf(row.values[column])]));
  const bars: BarRow[] = groups
    ? groups.flatMap(({ name, colour, members }) => {
      const own = members.map((code) => values.get(code) ?? NaN).filter(Number.isFinite);
      if (!own.length) return [];
      const mean = own.reduce((sum, value) => sum + value, 0) / own.length;
      const deviation = own.length > 1 ? Math.sqrt(own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (own.length - 1)) : 0;
      return [{ id: name, name, href: null, colour, value: mean, deviation }];
    })
    : rows.map((row) => ({ id: row.code, name: row.name, href: `/runs/${row.code}`, colour: row.colour, value: values.get(row.code)!, deviation: 0 }));
  const finite = bars.filter(({ value }) => Number.isFinite(value));
  return { bars: finite.sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1)), without: bars.length - finite.length };
}

export interface Bin {
  from: number;
  to: number;
  count: number;
  drawn: number; // of them on the charts
  codes: string[];
}

const MOST_BINS = 40;

/** Bins as wide as Freedman and Diaconis 1981 advise: 2 IQR / cube root of n, between 1 and 40 of them. */
export function binsOf(rows: RunRow[], column: string, wanted = 0): { bins: Bin[]; without: number } {
  const all = rows.map((row) => ({ row, value: numberOf(row.values[column]) }));
  const some = all.filter(({ value }) => Number.isFinite(value)).sort((a, b) => a.value - b.value);
  const without = all.length - some.length;
  if (!some.length) return { bins: [], without };
  const [low, high] = [some[0].value, some[some.length - 1].value];
  const quartile = (share: number) => some[Math.min(some.length - 1, Math.floor(share * some.length))].value;
  const width = (2 * (quartile(0.75) - quartile(0.25))) / Math.cbrt(some.length);
  const usual = width > 0 ? Math.ceil((high - low) / width) : Math.ceil(Math.sqrt(some.length));
  const count = low === high ? 1 : Math.min(MOST_BINS, Math.max(1, wanted || usual));
  const step = low === high ? Math.abs(low) || 1 : (high - low) / count;
  const start = low === high ? low - step / 2 : low;
  const bins: Bin[] = Array.from({ length: count }, (_, i) => ({ from: start + i * step, to: start + (i + 1) * step, count: 0, drawn: 0, codes: [] }));
  for (const { row, value } of some) {
    const bin = bins[Math.min(count - 1, Math.floor((value - start) / step))];
    bin.count += 1;
    bin.drawn += Number(row.colour !== "");
    bin.codes.push(row.code);
  }
  return { bins, without };
}
