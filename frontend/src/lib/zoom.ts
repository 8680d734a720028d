/** Ranges of an axis: nearer, further, along, and between two fingers. `all` is everything there is. */
export type Range = [min: number, max: number];

/** A range within `all`; null where it would show all of it. */
export function clampRange([min, max]: Range, all: Range): Range | null {
  const width = max - min;
  if (!(width > 0) || width >= all[1] - all[0]) return null;
  const start = Math.min(Math.max(min, all[0]), all[1] - width);
  return [start, start + width];
}

/** Zoom by a factor (below 1: nearer) about a value, which stays where it is on the screen. */
export const zoomAbout = ([min, max]: Range, all: Range, at: number, factor: number): Range | null =>
  clampRange([at - (at - min) * factor, at + (max - at) * factor], all);

/** The picture drawn along by a share of its width, to the right where that is above 0; null where all is shown anyway. */
export const panned = ([min, max]: Range, all: Range, by: number): Range | null =>
  clampRange([min - (max - min) * by, max - (max - min) * by], all);

const NEAREST = 1e-6; // of everything: nearer than that there is nothing to see

/** Where two fingers went: what was under each stays under it. Places are pixels from the left of a plot so wide. */
export function pinched(range: Range, all: Range, width: number, from: Range, to: Range): Range | null {
  const apart = Math.max(8, Math.abs(to[1] - to[0])) * (from[1] >= from[0] ? 1 : -1);
  const value = (place: number) => range[0] + ((range[1] - range[0]) * place) / width;
  const perPixel = Math.max((value(from[1]) - value(from[0])) / apart, ((all[1] - all[0]) * NEAREST) / width);
  const middle = (to[0] + to[1]) / 2;
  const start = value((from[0] + from[1]) / 2) - middle * perPixel;
  return clampRange([start, start + width * perPixel], all);
}
