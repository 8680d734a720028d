/** Lists that live updates leave in peace while somebody is at the page: what came and went waits for a word, or for a quiet moment. */
import { untrack } from "svelte";
import { hold, NO_LINES, type HeldList } from "../lib/held";

const QUIET = 30_000; // milliseconds without a key or a move of the pointer: nobody is about to press anything
const SETTLES = 3000; // milliseconds after the page is whole

interface Ways<T> {
  about?: (item: T) => string; // what changes count as one with, wherever else it is listed
  free?: ReadonlySet<string>; // whose comings and goings are the person's own
  cut?: () => boolean; // whether there are more than are listed
}

export class Still {
  private here = $state(true); // who opened the page is at it
  private settled = $state(false);
  private turn = $state(0);
  private lists = $state.raw<readonly { readonly about: readonly string[] }[]>([]);
  /** How many came, went or did both: a job that left the queue to run is one. */
  readonly changes = $derived(new Set(this.lists.flatMap((each) => each.about)).size);
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

  /** Call while a component is made, after the lists that `now` reads of. */
  list<T>(now: () => readonly T[], keyOf: (item: T) => string, { about, free, cut }: Ways<T> = {}): { readonly lines: HeldList<T>["lines"]; readonly items: T[] } {
    let held = $state.raw<HeldList<T>>(NO_LINES);
    this.follow((anew) => {
      const [items, how] = [now(), { anew, free, cut: cut?.() }];
      untrack(() => (held = hold(held, items, keyOf, how)));
    });
    const lists = untrack(() => this.lists);
    const nameOf = about ?? ((item: T) => `${lists.length} ${keyOf(item)}`);
    this.lists = [...lists, { get about() { return held.changed.map(nameOf); } }];
    return { get lines() { return held.lines; }, get items() { return held.lines.map(({ item }) => item); } };
  }

  /** Call while a component is made: true while something is, and, once it was, until all is shown as it is. */
  stays(now: () => boolean): { readonly is: boolean } {
    let is = $state(false);
    this.follow((anew) => {
      const there = now();
      untrack(() => (is = there || (is && !anew)));
    });
    return { get is() { return is; } };
  }

  /** Call while a component is made: as it was when all was last shown as it is. */
  kept<T>(now: () => T): { readonly is: T } {
    let is = $state.raw(untrack(now));
    this.follow((anew) => {
      const latest = now();
      if (anew) untrack(() => (is = latest));
    });
    return { get is() { return is; } };
  }

  /** Show all as it is now. */
  take(): void {
    this.turn += 1;
  }

  /** `anew`: whether all is to be shown as it is now. */
  private follow(step: (anew: boolean) => void): void {
    let before = -1;
    $effect.pre(() => {
      const anew = !this.holds || this.turn !== before;
      before = this.turn;
      step(anew);
    });
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
