/** The rows of a panel over runs: asked for when its columns change, and again now and then while it is in view. */
import { Resource } from "../../state/resource.svelte";
import type { PanelContext, RunRow } from "../panels/context";

const AGAIN_MILLISECONDS = 15_000;

/** Call in a component: `columns` and `context` are read anew whenever they change. */
export function rowsOf(context: () => PanelContext, columns: () => string[]): Resource<RunRow[]> {
  const asked = $derived(columns().filter(Boolean).join("\n"));
  const runs = $derived(context().runs);
  const found = new Resource<RunRow[]>(async (signal) => (runs && asked ? runs.rows(asked.split("\n"), signal) : []));
  $effect(() => {
    void [asked, runs];
    void found.load();
  });
  $effect(() => {
    const timer = window.setInterval(() => {
      if (!document.hidden) void found.load();
    }, AGAIN_MILLISECONDS);
    return () => {
      window.clearInterval(timer);
      found.stop();
    };
  });
  return found;
}
