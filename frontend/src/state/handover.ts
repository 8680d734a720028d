/** What the page of a short link hands to the page that it leads to: the charts' own part of a view, once. */
let handed: { code: string; panels: unknown } | null = null;

export function handOver(code: string, panels: unknown): void {
  handed = { code, panels };
}

/** The charts' part of this view if it has just been opened. Reloading keeps what was changed since. */
export function takeOver(code: string): unknown {
  const taken = handed?.code === code ? handed.panels : null;
  handed = null;
  return taken;
}
