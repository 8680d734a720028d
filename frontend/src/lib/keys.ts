/** Metric keys in sections, as the panels of a page are laid out. */
export interface Section {
  name: string;
  keys: string[];
}

export const PROCESS = "process";

/** Sections by the part before the first slash: bare keys first, then by the alphabet, our own last. */
export function sections(keys: string[], first: string[] = []): Section[] {
  const groups = new Map<string, string[]>();
  for (const key of [...keys].sort((a, b) => rank(a, first) - rank(b, first) || a.localeCompare(b, "en", { numeric: true }))) {
    const slash = key.indexOf("/");
    const name = key.startsWith("_") ? PROCESS : slash > 0 ? key.slice(0, slash) : "";
    const list = groups.get(name);
    if (list) list.push(key);
    else groups.set(name, [key]);
  }
  const order = (name: string) => (name === "" ? 0 : name === PROCESS ? 2 : 1);
  return [...groups]
    .sort(([a], [b]) => order(a) - order(b) || a.localeCompare(b, "en", { numeric: true }))
    .map(([name, list]) => ({ name, keys: list }));
}

function rank(key: string, first: string[]): number {
  const at = first.indexOf(key);
  return at < 0 ? first.length : at;
}

export function matchKeys(keys: string[], text: string): string[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return keys.filter((key) => words.every((word) => key.toLowerCase().includes(word)));
}
