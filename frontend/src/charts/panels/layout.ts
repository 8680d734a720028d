/** Where panels stand: sections from the metrics' names, and what a person moved, made, folded or put away. Values, never changed in place. */
import { PROCESS } from "../../lib/keys";
import { HEIGHTS, type PanelKept, type PanelsJson } from "./spec";

export interface Panel {
  id: string;
  key: string | null; // of a panel that is there because of a metric
  kind: string;
  section: string;
  title: string; // "" for the kind's own
  columns: number;
  height: number;
  options: Record<string, unknown>;
}

export interface Section {
  name: string;
  closed: boolean;
  panels: Panel[];
}

const KEY = "key:";
const OWN = "own:";
// One collator for all: comparing five thousand names one by one with localeCompare takes most of a second.
const { compare } = new Intl.Collator("en", { numeric: true });

export const idOf = (key: string): string => KEY + key;

/** The section that a metric belongs to: the part before its first slash. */
export function sectionOf(key: string): string {
  const slash = key.indexOf("/");
  return key.startsWith("_") ? PROCESS : slash > 0 ? key.slice(0, slash) : "";
}

/** The section of metrics that came late; no metric's name begins like that. */
export const NEW = "\tnew";

/** All panels in their sections: bare names first, then by the alphabet, our own last, unless a person said otherwise; below them the `late` ones. */
export function arrange(keys: readonly string[], json: PanelsJson, first: readonly string[] = [], late: readonly string[] = []): Section[] {
  const found = new Map<string, Panel[]>();
  const waits = new Set(late);
  const place = (panel: Panel) => {
    const name = panel.key !== null && waits.has(panel.key) ? NEW : panel.section;
    const list = found.get(name);
    if (list) list.push(panel);
    else found.set(name, [panel]);
  };
  for (const key of keys) {
    const kept = json.panels[KEY + key];
    if (!kept?.hidden) place(panelOf(KEY + key, key, kept ?? {}));
  }
  for (const [id, kept] of Object.entries(json.panels)) {
    if (id.startsWith(OWN) && !kept.hidden) place(panelOf(id, null, kept));
  }
  const made = new Map(Object.keys(json.panels).map((id, i) => [id, i]));
  const usual = new Map(first.map((key, i) => [KEY + key, i]));
  const bySection = (name: string) => (name === "" ? 0 : name === PROCESS ? 2 : 1);
  const sections = [...found].map(([name, panels]) => {
    const chosen = new Map((json.order[name] ?? []).map((id, i) => [id, i]));
    const rank = (panel: Panel, ranks: Map<string, number>) => ranks.get(panel.id) ?? ranks.size;
    // Panels of one's own stand before those that are there by themselves, as they were made.
    panels.sort((a, b) =>
      rank(a, chosen) - rank(b, chosen) || Number(b.key === null) - Number(a.key === null) ||
      (a.key === null || b.key === null ? rank(a, made) - rank(b, made) : rank(a, usual) - rank(b, usual) || compare(a.key, b.key)));
    return { name, closed: json.closed.includes(name), panels };
  });
  const ranks = new Map(json.sections.map((name, i) => [name, i]));
  const rankOf = (name: string) => ranks.get(name) ?? ranks.size;
  return sections.sort((a, b) => Number(a.name === NEW) - Number(b.name === NEW) || rankOf(a.name) - rankOf(b.name) || bySection(a.name) - bySection(b.name) || compare(a.name, b.name));
}

function panelOf(id: string, key: string | null, kept: PanelKept): Panel {
  return {
    id, key, kind: kept.kind ?? "line", section: kept.section ?? (key === null ? "" : sectionOf(key)), title: kept.title ?? "",
    columns: kept.columns ?? 1, height: kept.height ?? HEIGHTS.usual, options: kept.options ?? (key === null ? {} : { series: [{ key }] }),
  };
}

/** Something about a panel is different now; undefined takes a field back to its usual value. */
export function changed(json: PanelsJson, id: string, changes: Partial<PanelKept>): PanelsJson {
  const next: Record<string, unknown> = { ...json.panels[id], ...changes };
  for (const name of Object.keys(next)) if (next[name] === undefined) delete next[name];
  const panels = { ...json.panels, [id]: next as PanelKept };
  if (!Object.keys(next).length) delete panels[id];
  return { ...json, panels };
}

export function added(json: PanelsJson, kept: PanelKept, random: () => number = Math.random): { json: PanelsJson; id: string } {
  const id = `${OWN}${Math.floor(random() * 36 ** 8).toString(36)}`;
  return { json: { ...json, panels: { ...json.panels, [id]: kept } }, id };
}

/** A panel of one's own is gone, one of a metric put away until it is asked for again. */
export function removed(json: PanelsJson, id: string): PanelsJson {
  if (id.startsWith(KEY)) return changed(json, id, { hidden: true });
  const { [id]: _gone, ...panels } = json.panels;
  return { ...json, panels };
}

export const putAway = (json: PanelsJson): string[] => Object.entries(json.panels).filter(([, kept]) => kept.hidden).map(([id]) => id);

export const shownAgain = (json: PanelsJson): PanelsJson => putAway(json).reduce((next, id) => changed(next, id, { hidden: undefined }), json);

/** A panel to a place among the panels of a section, as they are shown now: before the one with that id, or to the end. */
export function moved(json: PanelsJson, sections: Section[], id: string, section: string, before: string | null): PanelsJson {
  if (section === NEW) return json; // a place for the time being
  const shown = sections.find((each) => each.name === section)?.panels.map((panel) => panel.id).filter((each) => each !== id) ?? [];
  const at = before === null ? shown.length : Math.max(0, shown.indexOf(before));
  const own = id.startsWith(KEY) && sectionOf(id.slice(KEY.length)) === section;
  const next = changed(json, id, { section: own ? undefined : section });
  return { ...next, order: { ...json.order, [section]: [...shown.slice(0, at), id, ...shown.slice(at)] } };
}

/** One place on or back within its section; the same where it stands at the end already. */
export function nudged(json: PanelsJson, sections: Section[], id: string, by: 1 | -1): PanelsJson {
  const section = sections.find((each) => each.panels.some((panel) => panel.id === id));
  if (!section) return json;
  const ids = section.panels.map((panel) => panel.id);
  const at = ids.indexOf(id) + by;
  if (at < 0 || at >= ids.length) return json;
  return moved(json, sections, id, section.name, by < 0 ? ids[at] : (ids[at + 1] ?? null));
}

export const folded = (json: PanelsJson, section: string, closed: boolean): PanelsJson => ({
  ...json, closed: closed ? [...new Set([...json.closed, section])] : json.closed.filter((each) => each !== section),
});

/**
 * How many of the grid's columns each panel takes. Into what the last row leaves its last panel grows, and where that row is the only
 * one its first, which matters most; unless a person sized it.
 */
export function spansOf(panels: readonly Pick<Panel, "columns">[], columns: number): number[] {
  let used = 0;
  const spans = panels.map((panel) => {
    const span = Math.min(columns, panel.columns);
    used = used + span > columns ? span : used + span;
    return span;
  });
  const grows = spans.reduce((sum, span) => sum + span, 0) <= columns ? 0 : panels.length - 1;
  if (panels[grows]?.columns === 1) spans[grows] += columns - used;
  return spans;
}
