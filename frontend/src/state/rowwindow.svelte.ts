import { inView, Slots } from "../lib/window";

export const ROW = 36; // pixels, in the table's style too: rows out of view are not drawn
export const HEAD = 34;
const SPARE = 6; // rows on each side that the browser may scroll to before the page hears of it
const STEP = 4; // rows by which what is drawn moves on: not each frame of scrolling makes rows
const FAST = 10; // rows between two frames, from which on nothing that is spare would come into view
const REST = 120; // ms without scrolling, after which what is spare is drawn again

/** Which lines of a table of so many are drawn, and in which of its elements, while it is scrolled. */
export class RowWindow {
  top = $state(0);
  height = $state(600);
  private fast = $state(false);
  private rest: ReturnType<typeof setTimeout> | undefined;
  private slots = new Slots();

  constructor(private readonly lines: () => number) {}

  private readonly spare = $derived(this.fast ? 1 : SPARE);
  private readonly step = $derived(this.fast ? 1 : STEP);
  private readonly at = $derived(Math.floor(this.top / ROW / this.step) * this.step * ROW);
  readonly part = $derived.by(() => inView(this.at, this.height - HEAD, ROW, this.lines(), this.spare));
  // Rows are elements that show one run after another while the table is scrolled: making them anew took most of a frame.
  readonly slotOf = $derived(this.slots.at(this.part.from, Math.ceil((this.height - HEAD) / ROW) + 2 * this.spare));

  /** The first pixel in view, now. */
  scrolled(top: number) {
    this.fast = Math.abs(top - this.top) > FAST * ROW;
    this.top = top;
    this.stop();
    if (this.fast) this.rest = setTimeout(() => (this.fast = false), REST);
  }

  stop() {
    clearTimeout(this.rest);
  }
}
