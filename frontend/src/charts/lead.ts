/**
 * What comes before the range of a zoomed line. It is smoothed over and not drawn: a smoothed line would else start anew
 * at the left edge, and be another one than before the zoom.
 */
import { cut, lowerIndex, type Columns, type Part, type XAxis } from "../lib/columns";
import { asLine, OWN_AXES, type Entry, type SeriesLine } from "./series";
import type { XRange } from "./group";

const MOST_WIDE = 2000; // buckets of one question

interface Zoomed {
  sources: readonly string[];
  keys: readonly string[];
  axis: XAxis;
  range: XRange;
  points: number; // so many of a line, at most
  found: ReadonlyMap<string, Part[]>; // what the range holds, by key, a tab, source
  base: (name: string) => Pick<Entry, "parts"> | undefined; // what the whole axis holds
  read: (sources: string[], keys: string[], range: XRange, width: number) => Promise<Map<string, Part[]>>;
}

interface Wanted {
  name: string;
  first: number; // x, from where on the line is drawn
  apart: number; // along x, from one of its points to the next
  long: number; // along x, what is to be read
}

/** By key, a tab, source. Lines about as dense, and as long before the range, are asked for together; of a line whose points are all here none is asked for. */
export async function leadsOf({ sources, keys, axis, range, points, found, base, read }: Zoomed): Promise<Map<string, Columns>> {
  const out = new Map<string, Columns>();
  const questions = new Map<string, Wanted[]>();
  const keep = (name: string, { columns }: SeriesLine, first: number) => {
    let end = lowerIndex(columns.x, first);
    while (end >= 0 && columns.x[end] >= first) end -= 1;
    if (end >= 0) out.set(name, cut(columns, Math.max(0, end + 1 - points), end + 1));
  };
  for (const key of keys) {
    for (const source of sources) {
      const name = `${key}\t${source}`;
      const { x } = asLine(found.get(name) ?? [], axis).columns;
      const all = asLine(base(name)?.parts ?? [], axis);
      if (!x.length || !(all.columns.x[0] < x[0])) continue;
      // Along another metric the server makes its buckets over the whole of it, zoomed or not.
      if (all.exact || !OWN_AXES.includes(axis)) keep(name, all, x[0]);
      else {
        const apart = (x.length > 1 && (x[x.length - 1] - x[0]) / (x.length - 1)) || range[1] - range[0];
        const octave = Math.ceil(Math.log2(apart) - 0.01);
        // What is before the first point would leave buckets for it that the others then share.
        const long = Math.min(points * 2 ** octave, range[0] - all.columns.x[0]);
        if (!(long > 0)) continue;
        const question = `${octave} ${Math.ceil(Math.log2(long))}`;
        questions.set(question, [...(questions.get(question) ?? []), { name, first: x[0], apart, long }]);
      }
    }
  }
  for (const wanted of questions.values()) {
    const long = Math.max(...wanted.map((each) => each.long));
    const width = Math.max(10, Math.min(MOST_WIDE, Math.ceil(long / Math.min(...wanted.map(({ apart }) => apart))) + 1));
    const names = wanted.map(({ name }) => name.split("\t"));
    const parts = await read([...new Set(names.map(([, source]) => source))], [...new Set(names.map(([key]) => key))], [range[0] - long, range[0]], width);
    for (const { name, first } of wanted) keep(name, asLine(parts.get(name) ?? [], axis), first);
  }
  return out;
}
