/** The order of what a few typed letters may mean: whole words first, then beginnings, then letters in their order. */
export interface Entry {
  label: string;
  also?: string; // what it is known by besides, and found by, but not shown
  hint: string; // what kind of thing it is, or where it stands
  run: () => void;
}

/** How well a label answers what was typed: 0 not at all, more is better. */
export function score(label: string, typed: string): number {
  const hay = label.toLowerCase();
  let total = 0;
  for (const word of typed.toLowerCase().split(/\s+/).filter(Boolean)) {
    const one = scoreWord(hay, word);
    if (!one) return 0;
    total += one;
  }
  // Of two that fit alike the shorter is meant.
  return total ? total - hay.length / 1000 : 0;
}

function scoreWord(hay: string, word: string): number {
  if (hay === word) return 5;
  if (hay.startsWith(word)) return 4;
  const at = hay.indexOf(word);
  if (at > 0) return /[^a-z0-9]/.test(hay[at - 1]) ? 3 : 2;
  let next = 0;
  for (const letter of hay) if (letter === word[next]) next += 1;
  return next === word.length ? 1 : 0;
}

/** By what it is known by besides: whole pieces of it alone, as letters in their order are found in any long text. */
function known({ label, also }: { label: string; also?: string }, typed: string): number {
  const hay = `${label} ${also ?? ""}`.toLowerCase();
  return also && typed.toLowerCase().split(/\s+/).every((word) => hay.includes(word)) ? 0.5 : 0;
}

/** The entries that answer, best first; all of them, in their own order, where nothing was typed. */
export function rank<T extends { label: string; also?: string }>(entries: T[], typed: string, most = 12): T[] {
  if (!typed.trim()) return entries.slice(0, most);
  return entries
    .map((entry, at) => ({ entry, at, points: score(entry.label, typed) || known(entry, typed) }))
    .filter(({ points }) => points > 0)
    .sort((a, b) => b.points - a.points || a.at - b.at)
    .slice(0, most)
    .map(({ entry }) => entry);
}
