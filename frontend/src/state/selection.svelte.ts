/** Which runs are chosen in a table: one by one, or all that match, however many of them are here. */
import { click, nothing, setAll, type Selection } from "../lib/selection";

export class RunSelection {
  private one = $state.raw<Selection>(nothing);
  /** All that match, with how many the person was told; null where runs were chosen one by one. */
  all = $state<{ count: number } | null>(null);
  readonly count = $derived(this.all?.count ?? this.one.chosen.size);

  has(code: string): boolean {
    return this.all !== null || this.one.chosen.has(code);
  }

  get codes(): string[] {
    return [...this.one.chosen];
  }

  /** `order`: the codes that are here, for a range with shift. */
  pick(code: string, order: string[], shift: boolean): void {
    // Out of all, one taken away leaves those that are here.
    const from = this.all ? setAll(nothing, order, true) : this.one;
    this.all = null;
    this.one = click(from, code, order, shift);
  }

  here(codes: string[], choose: boolean): void {
    this.all = null;
    this.one = choose ? setAll(this.one, codes, true) : nothing;
  }

  everything(count: number): void {
    this.all = { count };
  }

  clear(): void {
    this.all = null;
    this.one = nothing;
  }
}
