/** The panels of a page as a person arranged them: kept in this browser, handed to saved views, each step undone. */
import { readStored, writeStored } from "../../state/stored";
import type { View } from "../view.svelte";
import * as layout from "./layout";
import { readPanels, type PanelKept, type PanelsJson } from "./spec";

const MOST_UNDONE = 50;

export class PanelsState {
  private kept = $state.raw<PanelsJson>(readPanels(null));
  private past = $state.raw<PanelsJson[]>([]);
  readonly undoable = $derived(this.past.length > 0);
  readonly away = $derived(layout.putAway(this.kept).length);
  private heard = new Set<() => void>();

  /** `name` tells whose page it is, such as "experiment.12". */
  constructor(
    private name: string,
    readonly view: View,
  ) {
    const stored = readStored<unknown>(`panels.${name}`, null);
    // How charts are looked at was kept without panels before: that stays in force until it is changed here.
    this.kept = readPanels(stored ?? { look: view.kept() });
    if (stored) view.change(this.kept.look);
    view.heard = () => this.keep();
  }

  get layout(): PanelsJson {
    return this.kept;
  }

  /** What a saved view keeps under its key `panels`. */
  json(): PanelsJson {
    return { ...this.kept, look: this.view.kept() };
  }

  /** Take over what a saved view kept; anything at all may come. */
  apply(stored: unknown): void {
    const next = readPanels(stored);
    this.past = []; // what led to another arrangement is not undone in this one
    this.put(next, false);
    this.view.change(next.look);
  }

  /** Hear of every change, to keep it elsewhere too. */
  listen(heard: () => void): () => void {
    this.heard.add(heard);
    return () => this.heard.delete(heard);
  }

  sections(keys: readonly string[], first: readonly string[], late?: readonly string[]): layout.Section[] {
    return layout.arrange(keys, this.kept, first, late);
  }

  change(id: string, changes: Partial<PanelKept>): void {
    this.put(layout.changed(this.kept, id, changes));
  }

  add(kept: PanelKept): string {
    const { json, id } = layout.added(this.kept, kept);
    this.put(json);
    return id;
  }

  remove(id: string): void {
    this.put(layout.removed(this.kept, id));
  }

  showAway(): void {
    this.put(layout.shownAgain(this.kept));
  }

  move(sections: layout.Section[], id: string, section: string, before: string | null): void {
    this.put(layout.moved(this.kept, sections, id, section, before));
  }

  nudge(sections: layout.Section[], id: string, by: 1 | -1): void {
    this.put(layout.nudged(this.kept, sections, id, by));
  }

  fold(section: string, closed: boolean): void {
    this.put(layout.folded(this.kept, section, closed), false);
  }

  undo(): void {
    const before = this.past.at(-1);
    if (!before) return;
    this.past = this.past.slice(0, -1);
    this.put(before, false);
  }

  private put(next: PanelsJson, undoable = true): void {
    if (next === this.kept) return;
    if (undoable) this.past = [...this.past.slice(-MOST_UNDONE + 1), this.kept];
    this.kept = next;
    this.keep();
  }

  private keep(): void {
    writeStored(`panels.${this.name}`, this.json());
    for (const heard of this.heard) heard();
  }
}
