/** Lists that live updates leave in peace while somebody is at the page: what came and went waits for a word, or for a quiet moment. */
import { untrack } from "svelte";
import { hold, NO_LINES, type HeldList } from "../lib/held";

const QUIET = 30_000; // milliseconds without a key or a move of the pointer: nobody is about to press anything
const SETTLES = 3000; // milliseconds after the page is whole
const NONE: ReadonlySet<string> = new Set();

export class Still {
  private here = $state(true); // who opened the page is at it
  private settled = $state(false);
  private turn = $state(0);
  private lists = $state.raw<readonly { readonly changes: number }[]>([]);
  readonly changes = $derived(this.lists.reduce((sum, each) => sum + each.changes, 0));
  /** Whether lines keep their places now. */
  readonly holds = $derived(this.settled && this.here);

  /** Call while a component is made. `whole`: whether all was read once, and there is something to keep in its place. */
  constructor(whole: () => boolean) {
    const is = $derived(this.settled || whole()); // what is first asked for later on does not unsettle it
    $effect(() => {
      if (!is) return;
      const timer = window.setTimeout(() => (this.settled = true), SETTLES);
      return () => window.clearTimeout(timer);
    });
    $effect(() => this.watch());
  }

  /** Call while a component is made. `free`: whose comings and goings are the person's own. */
  list<T>(now: () => readonly T[], keyOf: (item: T) => string, free: ReadonlySet<string> = NONE): HeldList<T> & { readonly items: T[] } {
    let held = $state.raw<HeldList<T>>(NO_LINES);
    let before = -1;
    $effect.pre(() => {
      const [items, anew] = [now(), !this.holds || this.turn !== before];
      before = this.turn;
      untrack(() => (held = hold(held, items, keyOf, anew, free)));
    });
    const out = { get lines() { return held.lines; }, get changes() { return held.changes; }, get items() { return held.lines.map(({ item }) => item); } };
    this.lists = [...untrack(() => this.lists), out];
    return out;
  }

  /** Call while a component is made: true while something is, and, once it was, for as long as lines keep their places. */
  stays(now: () => boolean): { readonly is: boolean } {
    let is = $state(false);
    $effect.pre(() => {
      const [there, lets] = [now(), !this.holds];
      untrack(() => (is = there || (is && !lets)));
    });
    return { get is() { return is; } };
  }

  /** Show all as it is now. */
  take(): void {
    this.turn += 1;
  }

  private watch(): () => void {
    let timer = 0;
    const left = () => (this.here = false);
    const used = () => {
      this.here = true;
      window.clearTimeout(timer);
      timer = window.setTimeout(left, QUIET);
    };
    const turned = () => document.hidden && left();
    const events = ["pointermove", "pointerdown", "keydown", "wheel", "touchmove"] as const;
    used();
    for (const each of events) window.addEventListener(each, used, { passive: true });
    window.addEventListener("blur", left);
    document.addEventListener("visibilitychange", turned);
    return () => {
      window.clearTimeout(timer);
      for (const each of events) window.removeEventListener(each, used);
      window.removeEventListener("blur", left);
      document.removeEventListener("visibilitychange", turned);
    };
  }
}
