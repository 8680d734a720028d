/** A colour for a run that is the same on every page and every day: chosen by a hash of its code, while nobody else has it. */
export const PALETTE_SIZE = 12;

/** FNV-1a, 32 bits: short, even, and stable over releases. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

/**
 * 1..PALETTE_SIZE for each code: the chosen one, else the one it `had` while that is free, else by hash, moved on to the
 * next free colour while there is one.
 */
export function assignColours(codes: string[], chosen: Readonly<Record<string, number>> = {}, had: ReadonlyMap<string, number> = new Map()): Map<string, number> {
  const taken = new Set<number>();
  const out = new Map<string, number>();
  // What a person chose stands, and is nobody else's while there are others.
  for (const code of codes) {
    if (!Object.hasOwn(chosen, code)) continue;
    out.set(code, chosen[code]);
    taken.add(chosen[code] - 1);
  }
  // In order of code, so that the order of the selection does not change anybody's colour.
  const rest = codes.filter((code) => !out.has(code)).sort();
  for (const code of rest) {
    const slot = had.get(code);
    if (slot === undefined || taken.has(slot - 1)) continue;
    taken.add(slot - 1);
    out.set(code, slot);
  }
  for (const code of rest) {
    if (out.has(code)) continue;
    let slot = hash(code) % PALETTE_SIZE;
    if (taken.size < PALETTE_SIZE) while (taken.has(slot)) slot = (slot + 1) % PALETTE_SIZE;
    taken.add(slot);
    out.set(code, slot + 1);
  }
  return out;
}

/** The colours of a page that stays open: nobody's changes because another one is hidden, shown or taken out. */
export class Palette {
  private readonly had = new Map<string, number>();

  of(codes: string[], chosen: Readonly<Record<string, number>> = {}): Map<string, number> {
    const out = assignColours(codes, chosen, this.had);
    for (const [code, slot] of out) if (!Object.hasOwn(chosen, code)) this.had.set(code, slot);
    return out;
  }
}

/** What has to be chosen so that all of these, and any of them alone, have the same `colours` for who opens the page anew: those that are not by hash. */
export function choiceFor(colours: ReadonlyMap<string, number>, chosen: Readonly<Record<string, number>>): Record<string, number> {
  return { ...chosen, ...Object.fromEntries([...colours].filter(([code, slot]) => slot !== (hash(code) % PALETTE_SIZE) + 1)) };
}
