/** The line of an expression over metrics, worked out of the lines of its metrics. */
import { emptyColumns, lowerIndex, NAMES, nonFiniteKind, type Columns, type NonFinite } from "../lib/columns";
import { evaluate, type Tree } from "../lib/expression";
import type { SeriesLine } from "./series";

/**
 * One value wherever all of the metrics have one: at the points of the metric with the fewest, with the others' buckets
 * that hold the same step. Null where one of them has no line. Of a single metric the band and the branches that
 * were left behind are carried over; of several there is no band, because their extremes need not have met.
 */
export function calculate(tree: Tree, keys: string[], lineOf: (key: string) => SeriesLine | null): SeriesLine | null {
  const lines: SeriesLine[] = [];
  for (const key of keys) {
    const line = lineOf(key);
    if (!line) return null;
    lines.push(line);
  }
  if (tree.kind === "key") return lines[0];
  if (lines.length === 1) return ofOne(lines[0], (value) => evaluate(tree, () => value));
  const base = lines.reduce((fewest, line) => (line.columns.x.length < fewest.columns.x.length ? line : fewest));
  const rows: number[] = [];
  const values: number[] = [];
  const nonFinite: NonFinite[] = [];
  for (let i = 0; i < base.columns.x.length; i++) {
    const step = base.columns.step[i];
    const found = lines.map((line) => (line === base ? base.columns.mean[i] : meanAt(line, step)));
    if (found.includes(undefined)) continue;
    rows.push(i);
    const value = evaluate(tree, (key) => found[keys.indexOf(key)]!);
    values.push(finite(value));
    nonFinite.push(...marked(value, step, base.columns.x[i]));
  }
  const columns = emptyColumns();
  for (const name of NAMES) columns[name] = Float64Array.from(rows, (i) => base.columns[name][i]);
  const shown = Float64Array.from(values);
  const before = lines.every(({ lead }) => lead) ? calculate(tree, keys, (key) => ({ ...lines[keys.indexOf(key)], columns: lines[keys.indexOf(key)].lead!, lead: undefined })) : null;
  return { columns: { ...columns, min: shown, max: shown, mean: shown, last: shown }, faded: [], nonFinite, exact: lines.every((line) => line.exact), lead: before?.columns };
}

const finite = (value: number): number => (Number.isFinite(value) ? value : NaN);
const marked = (value: number, step: number, x: number): NonFinite[] => (Number.isFinite(value) ? [] : [{ step, x, kind: nonFiniteKind(value) }]);

/** The mean of the bucket that holds a step; undefined where there is none. Of exact points, the point at that step. */
function meanAt(line: SeriesLine, step: number): number | undefined {
  const { step: steps, mean } = line.columns;
  const at = lowerIndex(steps, step);
  if (at < 0) return undefined;
  if (line.exact) return steps[at] === step ? mean[at] : undefined;
  const end = at + 1 < steps.length ? steps[at + 1] : Infinity;
  const width = at > 0 ? steps[at] - steps[at - 1] : end - steps[at];
  return step < Math.min(end, steps[at] + Math.max(1, width)) ? mean[at] : undefined;
}

function ofOne(line: SeriesLine, work: (value: number) => number): SeriesLine {
  const turned = (columns: Columns): Columns => {
    const mean = columns.mean.map((value) => finite(work(value)));
    const ends = [columns.min, columns.max].map((column) => column.map((value) => finite(work(value))));
    const pick = (choose: (...values: number[]) => number) => mean.map((value, i) => choose(value, ends[0][i], ends[1][i]));
    return { ...columns, mean, min: pick(Math.min), max: pick(Math.max), last: columns.last.map(work) };
  };
  const { mean, step, x } = line.columns;
  // What was not finite from the beginning, and what becomes so: the logarithm of 0.
  const nonFinite = line.nonFinite.flatMap((bad) => marked(work(Number(bad.kind)), bad.step, bad.x));
  mean.forEach((value, i) => Number.isFinite(value) && nonFinite.push(...marked(work(value), step[i], x[i])));
  return { ...line, nonFinite, columns: turned(line.columns), faded: line.faded.map(turned), lead: line.lead && turned(line.lead) };
}
