/** Nested settings as dotted rows, and what differs between several of them. */
export interface Leaf {
  path: string;
  value: unknown;
}

/** Every leaf with its dotted path, in the order written. An empty map or list is a leaf. */
export function flatten(value: unknown, prefix = ""): Leaf[] {
  if (value !== null && typeof value === "object") {
    const entries = Array.isArray(value) ? value.map((v, i) => [String(i), v] as const) : Object.entries(value);
    // Short lists of plain values read better whole.
    const plainList = Array.isArray(value) && value.every((v) => v === null || typeof v !== "object");
    if (entries.length && !plainList) {
      return entries.flatMap(([name, child]) => flatten(child, prefix ? `${prefix}.${name}` : name));
    }
  }
  return prefix ? [{ path: prefix, value }] : [];
}

export interface DiffRow {
  path: string;
  values: unknown[]; // one for each settings map, undefined where it has no such path
  differs: boolean;
}

export function diff(configs: unknown[]): DiffRow[] {
  const maps = configs.map((config) => new Map(flatten(config).map((leaf) => [leaf.path, leaf.value])));
  const paths = [...new Set(maps.flatMap((map) => [...map.keys()]))].sort();
  return paths.map((path) => {
    const values = maps.map((map) => map.get(path));
    const texts = values.map((value) => JSON.stringify(value));
    return { path, values, differs: texts.some((text) => text !== texts[0]) };
  });
}
