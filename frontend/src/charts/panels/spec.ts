/**
 * The form in which the panels of a page are kept: in this browser, and under the key `panels` of a saved view.
 *
 * {
 *   version: 1,
 *   panels: { "key:loss": {height: 300}, "own:k3x": {kind: "scatter", section: "", title: "…", options: {…}} },
 *   order: { "val": ["key:val/loss", …] },   // panels of a section that were put somewhere by hand; others follow
 *   sections: ["val", …],                    // the same for sections
 *   closed: ["process"],                     // sections that are folded
 *   look: {x, smoothing, weighting, scale, robust, tip, linked, band}
 * }
 *
 * Panels of a metric exist by themselves under "key:" and the metric's name: only what differs from usual is kept. What
 * somebody else wrote is read with care: a part that makes no sense is left out, fields and kinds of a newer version
 * are carried along untouched, so that an older page does not destroy a newer one's view.
 */
import { readLook, type Kept } from "../view.svelte";

export const VERSION = 1;
export const MOST_COLUMNS = 6;
export const HEIGHTS = { least: 120, most: 900, usual: 190 };
const MOST_PANELS = 2000;
const LONGEST_NAME = 400;

/** What is kept of a panel; everything may be missing. */
export interface PanelKept {
  kind?: string;
  section?: string;
  title?: string;
  columns?: number; // wide, of the grid's
  height?: number; // of its drawing, in pixels
  hidden?: boolean;
  options?: Record<string, unknown>; // its kind's own
}

export interface PanelsJson {
  version: number;
  panels: Record<string, PanelKept>;
  order: Record<string, string[]>;
  sections: string[];
  closed: string[];
  look: Kept;
}

export const empty = (): PanelsJson => ({ version: VERSION, panels: {}, order: {}, sections: [], closed: [], look: readLook({}) });

/** Whatever was stored, as this version knows it. Never fails. */
export function readPanels(stored: unknown): PanelsJson {
  const given = isMap(stored) ? stored : {};
  return {
    ...given,
    version: VERSION,
    panels: Object.fromEntries(entries(given.panels).slice(0, MOST_PANELS).map(([id, panel]) => [id, readPanel(panel)])),
    order: Object.fromEntries(entries(given.order).map(([section, ids]) => [section, names(ids)])),
    sections: names(given.sections),
    closed: names(given.closed),
    look: readLook(given.look),
  };
}

function readPanel(panel: unknown): PanelKept {
  const { kind, section, title, columns, height, hidden, options, ...newer } = isMap(panel) ? panel : {};
  return {
    ...newer,
    ...(isName(kind) ? { kind } : {}),
    ...(isName(section) ? { section } : {}),
    ...(isName(title) && title ? { title } : {}),
    ...(isNumber(columns) ? { columns: Math.min(MOST_COLUMNS, Math.max(1, Math.round(columns))) } : {}),
    ...(isNumber(height) ? { height: Math.min(HEIGHTS.most, Math.max(HEIGHTS.least, Math.round(height))) } : {}),
    ...(hidden === true ? { hidden } : {}),
    ...(isMap(options) ? { options } : {}),
  };
}

export const isMap = (value: unknown): value is Record<string, unknown> => value !== null && typeof value === "object" && !Array.isArray(value);
const isName = (value: unknown): value is string => typeof value === "string" && value.length <= LONGEST_NAME;
const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
// "__proto__" as the name of a section or panel would be no entry at all.
const entries = (value: unknown): [string, unknown][] => (isMap(value) ? Object.entries(value).filter(([name]) => isName(name) && name !== "__proto__") : []);
const names = (value: unknown): string[] => (Array.isArray(value) ? [...new Set(value.filter(isName))].slice(0, MOST_PANELS * 5) : []);
