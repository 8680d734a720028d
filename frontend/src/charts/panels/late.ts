/** Metrics that came while the same lines are looked at: a place among the others would move the panel that one reads. */
const SETTLES = 3000; // milliseconds after the first ones: a run that has just begun tells of its metrics one after the other
const NONE: readonly string[] = [];

export class Late {
  private known: ReadonlySet<string> = new Set(); // lines that are or were drawn
  private since = 0;
  private settled: ReadonlySet<string> = new Set();

  constructor(private now: () => number = () => performance.now()) {}

  /**
   * Those of `keys` that came late. `lines`: what is drawn; one that never was, which a person asks for, begins anew, and one that
   * is left out, or comes back, does not.
   */
  of(keys: readonly string[], lines: readonly string[]): readonly string[] {
    const others = lines.some((line) => !this.known.has(line));
    if (others) this.known = new Set([...this.known, ...lines]);
    if (others || !this.settled.size) this.since = this.now();
    if (this.now() - this.since < SETTLES) this.settle(keys);
    const late = keys.filter((key) => !this.settled.has(key));
    return late.length ? late : NONE;
  }

  /** From here on all of these have their places. */
  settle(keys: readonly string[]): void {
    this.settled = new Set([...this.settled, ...keys]);
  }
}
