/** Metrics that came while the same lines are looked at: a place among the others would move the panel that one reads. */
const SETTLES = 3000; // milliseconds after the first ones: a run that has just begun tells of its metrics one after the other
const NONE: readonly string[] = [];

export class Late {
  private whose = "";
  private since = 0;
  private settled: ReadonlySet<string> = new Set();

  constructor(private now: () => number = () => performance.now()) {}

  /** Those of `keys` that came late. `whose`: the lines that are drawn; others, which a person asks for, begin anew. */
  of(keys: readonly string[], whose: string): readonly string[] {
    if (whose !== this.whose || !this.settled.size) [this.whose, this.since] = [whose, this.now()];
    if (this.now() - this.since < SETTLES) this.settle(keys);
    const late = keys.filter((key) => !this.settled.has(key));
    return late.length ? late : NONE;
  }

  /** From here on all of these have their places. */
  settle(keys: readonly string[]): void {
    this.settled = new Set(keys);
  }
}
