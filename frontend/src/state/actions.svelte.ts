/** What can be done on the page that is open, for the command palette; with `keys` by a shortcut too. */
import { untrack } from "svelte";

export interface Action {
  label: string;
  keys?: string;
  run: () => void;
}

class Actions {
  private offers = $state.raw<readonly (readonly Action[])[]>([]);
  readonly list = $derived(this.offers.flat());

  add(made: readonly Action[]): () => void {
    this.offers = [...untrack(() => this.offers), made];
    return () => (this.offers = untrack(() => this.offers).filter((each) => each !== made));
  }
}

export const actions = new Actions();

/** Call it while a component is made: what `make` gives is on offer as long as the component is shown, and follows what it reads. */
export function offerActions(make: () => readonly Action[]): void {
  $effect(() => {
    const made = make();
    return untrack(() => actions.add(made));
  });
}
