/** The order of a live list while somebody is about to press something in it. */
export interface Placed<T> {
  item: T;
  gone: boolean; // it left the list meanwhile
}

/** What was shown stays where it was, what has left too, and what came stands below. */
export function keepPlaces<T>(shown: readonly T[], now: readonly T[], keyOf: (item: T) => string): Placed<T>[] {
  const here = new Map(now.map((item) => [keyOf(item), item]));
  const kept = shown.map((item) => ({ item: here.get(keyOf(item)) ?? item, gone: !here.has(keyOf(item)) }));
  for (const item of shown) here.delete(keyOf(item));
  return [...kept, ...[...here.values()].map((item) => ({ item, gone: false }))];
}
