/** A list whose lines keep their places while somebody is at it. Values, never changed in place. */
export interface Line<T> {
  key: string;
  item: T;
  gone: boolean; // no longer listed: as it was last known
}

export interface HeldList<T> {
  lines: readonly Line<T>[];
  changes: number; // how many came or went that the lines do not show yet
}

export const NO_LINES: HeldList<never> = { lines: [], changes: 0 };

/**
 * The lines that stand already, with what is known of them now. Who went stays, and who came waits, until the list is taken
 * `anew`; who is named in `free` comes (to the end) and goes at once, for that is the person's own doing.
 */
export function hold<T>(before: HeldList<T>, now: readonly T[], keyOf: (item: T) => string, anew: boolean, free: ReadonlySet<string> = new Set()): HeldList<T> {
  const latest = new Map(now.map((item) => [keyOf(item), item]));
  const line = (key: string, item: T): Line<T> => ({ key, item, gone: false });
  if (anew) return { lines: [...latest].map(([key, item]) => line(key, item)), changes: 0 };
  const kept = before.lines.filter(({ key }) => latest.has(key) || !free.has(key)).map((each) => (latest.has(each.key) ? line(each.key, latest.get(each.key)!) : { ...each, gone: true }));
  const there = new Set(kept.map(({ key }) => key));
  const came = [...latest].filter(([key]) => !there.has(key));
  const own = came.filter(([key]) => free.has(key)).map(([key, item]) => line(key, item));
  return { lines: [...kept, ...own], changes: came.length - own.length + kept.filter(({ gone }) => gone).length };
}
