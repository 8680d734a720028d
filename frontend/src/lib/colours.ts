/** A colour for a run that is the same on every page and every day: chosen by a hash of its code. */
export const PALETTE_SIZE = 12;

/** FNV-1a, 32 bits: short, even, and stable over releases. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

/** 1..PALETTE_SIZE for each code: the chosen one, else by hash, moved on to the next free colour while there is one. */
export function assignColours(codes: string[], chosen: Readonly<Record<string, number>> = {}): Map<string, number> {
  const taken = new Set<number>();
  const out = new Map<string, number>();
  // What a person chose stands, and is nobody else's while there are others.
  for (const code of codes) {
    if (!Object.hasOwn(chosen, code)) continue;
    out.set(code, chosen[code]);
    taken.add(chosen[code] - 1);
  }
  // In order of code, so that the order of the selection does not change anybody's colour.
  for (const code of [...codes].sort()) {
    if (out.has(code)) continue;
    let slot = hash(code) % PALETTE_SIZE;
    if (taken.size < PALETTE_SIZE) while (taken.has(slot)) slot = (slot + 1) % PALETTE_SIZE;
    taken.add(slot);
    out.set(code, slot + 1);
  }
  return out;
}
