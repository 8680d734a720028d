import { untrack } from "svelte";

/** Short messages in the corner. Those of failures stay until they are closed. */
export type Tone = "good" | "bad" | "plain";

export interface Toast {
  id: number;
  tone: Tone;
  text: string;
  undo?: () => Promise<unknown>;
}

export interface Corner {
  isHeld: () => boolean;
}

const SHOWN_MILLISECONDS = 5000;
const UNDO_MILLISECONDS = 15_000; // time to read, to think and to reach it

class Toasts {
  list = $state<Toast[]>([]);
  private next = 1;
  private hosts = $state.raw<readonly Corner[]>([]);
  /** The corner that shows them: of the dialog that was opened last, else of the page. */
  readonly shownAt: Corner | undefined = $derived(this.hosts.at(-1));

  /** A corner that could show them comes; the returned function lets it go. */
  host(corner: Corner): () => void {
    untrack(() => (this.hosts = [...this.hosts, corner]));
    return () => (this.hosts = this.hosts.filter((each) => each !== corner));
  }

  /** With `undo` a button stands beside it that takes back what was done. */
  say(text: string, tone: Tone = "plain", undo?: () => Promise<unknown>): void {
    const id = this.next++;
    this.list = [...this.list.slice(-3), { id, tone, text, undo }];
    if (tone !== "bad") this.later(id, undo ? UNDO_MILLISECONDS : SHOWN_MILLISECONDS);
  }

  /** Nothing goes away under the pointer or the focus; what they were on may have gone without a word. */
  private later(id: number, milliseconds: number): void {
    window.setTimeout(() => (this.shownAt?.isHeld() ? this.later(id, SHOWN_MILLISECONDS) : this.close(id)), milliseconds);
  }

  close(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
