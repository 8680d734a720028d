/** A live list whose lines keep their places while somebody is at it. Values, never changed in place. */
export interface Line<T> {
  key: string;
  item: T;
  gone: boolean; // no longer listed: as it was last known
}

export interface HeldList<T> {
  lines: readonly Line<T>[];
  changed: readonly T[]; // who came or went, which the lines do not show yet
}

export interface How {
  anew?: boolean; // the list of now
  free?: ReadonlySet<string>; // who comes (to the end) and goes at once, for that is the person's own doing
  joins?: boolean; // who comes stands at the end at once, and does not wait
  cut?: boolean; // there are more than are listed: who left the end of it may only have been pushed out
}

export const NO_LINES: HeldList<never> = { lines: [], changed: [] };

/** The lines that stand already, with what is known of them now. Who went stays, and who came waits (or stands at the end), until the list is taken anew. */
export function hold<T>(before: HeldList<T>, now: readonly T[], keyOf: (item: T) => string, { anew = false, free = new Set(), joins = false, cut = false }: How = {}): HeldList<T> {
  const latest = new Map(now.map((item) => [keyOf(item), item]));
  const line = (key: string, item: T): Line<T> => ({ key, item, gone: false });
  if (anew) return { lines: [...latest].map(([key, item]) => line(key, item)), changed: [] };
  const stood = before.lines.filter(({ key }) => latest.has(key) || !free.has(key));
  const end = cut ? stood.map(({ key }) => latest.has(key)).lastIndexOf(true) + 1 : stood.length;
  const kept = stood.map((each, i) => (latest.has(each.key) ? line(each.key, latest.get(each.key)!) : { ...each, gone: i < end }));
  const there = new Set(kept.map(({ key }) => key));
  const came = [...latest].filter(([key]) => !there.has(key));
  const shows = (key: string) => joins || free.has(key);
  const own = came.filter(([key]) => shows(key)).map(([key, item]) => line(key, item));
  return {
    lines: [...kept, ...own],
    changed: [...came.filter(([key]) => !shows(key)).map(([, item]) => item), ...kept.filter(({ gone }) => gone).map(({ item }) => item)],
  };
}
