/** A live list that keeps its places while the pointer or the focus is in it: nobody presses what was another's button a moment ago. */
import { keepPlaces, type Placed } from "../lib/steady";

export class Steady<T> {
  private places: HTMLElement | null = null;
  private shown: readonly T[] = [];
  private left = $state(0); // how often it was let go

  /** `always`: from the first look to the last, as in a dialog, where a finger does not hover before it presses. */
  constructor(
    private readonly now: () => readonly T[],
    private readonly keyOf: (item: T) => string,
    private readonly always: () => boolean = () => false,
  ) {}

  readonly rows: readonly Placed<T>[] = $derived.by(() => {
    void this.left;
    const now = this.now();
    const rows = this.isHeld() ? keepPlaces(this.shown, now, this.keyOf) : now.map((item) => ({ item, gone: false }));
    this.shown = rows.map(({ item }) => item);
    return rows;
  });

  /** Asked of the page each time: no event tells that what had the focus was taken away. */
  private isHeld(): boolean {
    const { places } = this;
    return this.always() || (!!places && (places.matches(":hover") || places.contains(document.activeElement)));
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
