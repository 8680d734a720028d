/** A live list that keeps its places while the pointer or the focus is in it: nobody presses what was another's button a moment ago. */
import { hold, NO_LINES, type HeldList, type Line } from "../lib/held";

interface Ways {
  always?: () => boolean; // from the first look to the last, as in a dialog, where a finger does not hover before it presses
  joins?: boolean; // whether who comes stands at the end at once, or waits
  cut?: boolean; // whether there are more than are listed
}

export class Steady<T> {
  private places: HTMLElement | null = null;
  private shown: HeldList<T> = NO_LINES;
  private anew = false;
  private left = $state(0); // how often it was let go

  constructor(
    private readonly now: () => readonly T[],
    private readonly keyOf: (item: T) => string,
    private readonly ways: Ways = {},
  ) {}

  private readonly held: HeldList<T> = $derived.by(() => {
    void this.left;
    const { joins = true, cut } = this.ways;
    this.shown = hold(this.shown, this.now(), this.keyOf, { anew: this.anew || !this.isHeld(), joins, cut });
    this.anew = false;
    return this.shown;
  });
  readonly rows: readonly Line<T>[] = $derived(this.held.lines);
  /** How many came that wait, or went and still stand here. */
  readonly changes = $derived(this.held.changed.length);

  /** Show all as it is now, whoever points at it: what a person did themselves. */
  take(): void {
    this.anew = true;
    this.left += 1;
  }

  /** Asked of the page each time: no event tells that what had the focus was taken away. */
  private isHeld(): boolean {
    const { places } = this;
    return !!this.ways.always?.() || (!!places && (places.matches(":hover") || places.contains(document.activeElement)));
  }

  /** Of the element whose rows they are. */
  readonly hold = (element: HTMLElement): (() => void) => {
    this.places = element;
    const letGo = (event: Event) => {
      const to = (event as FocusEvent | PointerEvent).relatedTarget;
      if (to instanceof Node && element.contains(to)) return;
      // Later: what has the focus may be leaving because the list is being drawn right now, or is drawn no more.
      queueMicrotask(() => {
        if (this.places) this.left += 1;
      });
    };
    element.addEventListener("pointerleave", letGo);
    element.addEventListener("focusout", letGo);
    return () => {
      this.places = null;
      element.removeEventListener("pointerleave", letGo);
      element.removeEventListener("focusout", letGo);
    };
  };
}
