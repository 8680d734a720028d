/** Which of very many rows of one height are in view, and where they stand. */

// Browsers draw no element higher than about 17 million pixels.
export const MOST_PIXELS = 12_000_000;

export interface Window {
  first: number;
  last: number; // the one after the last
  top: number; // pixels from the top of the list at which `first` stands
  height: number; // of the whole list
}

/** top, view: pixels scrolled and seen. over: rows drawn beyond the view on either side. */
export function windowOf(top: number, view: number, row: number, total: number, over = 10): Window {
  const full = total * row;
  const height = Math.min(full, MOST_PIXELS);
  // A list that is too high for the browser is drawn lower: a pixel scrolled is then more than one.
  const ratio = full > height ? (full - view) / Math.max(1, height - view) : 1;
  const real = Math.min(Math.max(0, top * ratio), Math.max(0, full - view));
  const seen = Math.floor(real / row);
  const first = Math.max(0, seen - over);
  return { first, last: Math.min(total, seen + Math.ceil(view / row) + 1 + over), top: top - (real - first * row), height };
}

/** The scroll position that has a row in the middle of the view. */
export function topOf(index: number, view: number, row: number, total: number): number {
  const full = total * row;
  const height = Math.min(full, MOST_PIXELS);
  const ratio = full > height ? (full - view) / Math.max(1, height - view) : 1;
  return Math.max(0, Math.min(full - view, index * row - (view - row) / 2)) / ratio;
}
