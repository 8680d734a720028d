/** The groups of an experiment's table as its charts draw them: read anew where there are others, or other eyes are open. */
import { untrack } from "svelte";
import { DrawnGroups, type Some } from "../../charts/panels/groups.svelte";
import { stable } from "../../lib/stable";
import type { ExperimentState } from "../../state/experiment.svelte";

interface Told {
  by: readonly string[];
  groups: Some[];
  colours: [string, string][];
}

/** To be made where a component is: it has an effect. `page` is null until there is one. */
export function drawnGroups(page: () => ExperimentState | null): { drawn: DrawnGroups; readonly told: Told | null } {
  const drawn = new DrawnGroups();
  // Their figures are the table's: the lines are others only where there are other groups.
  const same = stable<Told | null>();
  const told = $derived.by(() => {
    const shown = page();
    const now = shown?.table.view.groups.length ? shown.groups.told : null;
    return same(now && shown ? { by: now.by, groups: now.groups.map(({ values, count }) => ({ values, count })), colours: [...shown.groupColours] } : null);
  });
  $effect(() => {
    const now = told, shown = page();
    void untrack(() => drawn.take(now && shown && { ...now, colours: new Map(now.colours), codes: (group, most) => shown.groups.codes(group, most) }));
  });
  return {
    drawn,
    get told() {
      return told;
    },
  };
}
