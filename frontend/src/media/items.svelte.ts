/** The media of one key, read when its panel is there and again when more of it has come. */
import * as api from "../api";
import type { Branch, Media } from "../api/types";
import { current, itemsAt, shownStep, stepsOf } from "../lib/media";
import { Resource } from "../state/resource.svelte";

export class Items {
  readonly list: Resource<Media[]>;
  private rows: Media[];
  readonly steps: number[];

  constructor(code: string, key: string, private branches: () => Branch[]) {
    this.list = new Resource((signal) => api.media(code, { key }, signal));
    this.rows = $derived(current(this.list.data ?? [], this.branches()));
    this.steps = $derived(stepsOf(this.rows));
  }
  shown = (wanted: number | null): number | null => shownStep(this.steps, wanted);
  at = (step: number | null): Media[] => itemsAt(this.rows, step);
  get all(): Media[] {
    return this.rows;
  }
}
