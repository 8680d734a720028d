/** What media the runs of a panel have, and along which branches they grew; asked for anew as runs come and go. */
import * as api from "../../api";
import type { Branch, MediaKey } from "../../api/types";
import { Resource } from "../../state/resource.svelte";
import type { PanelContext } from "../panels/context";

export interface MediaRun {
  code: string;
  label: string;
  colour: string;
  branches: Branch[];
  keys: MediaKey[];
}

/** Call in a component. `most`: of the runs on the charts, the first so many. */
export function mediaRuns(context: () => PanelContext, most: () => number): Resource<MediaRun[]> {
  const some = $derived(context().sources.filter(({ source }) => source.startsWith("run:")).slice(0, most()));
  const asked = $derived(some.map(({ source }) => source).join());
  const found = new Resource<MediaRun[]>((signal) =>
    Promise.all(
      some.map(async ({ source, label, colour }) => {
        const code = source.slice(4);
        const [run, keys] = await Promise.all([api.run(code, signal), api.mediaKeys(code, signal)]);
        return { code, label, colour, branches: run.branches, keys };
      }),
    ),
  );
  $effect(() => {
    void asked;
    void found.load();
  });
  $effect(() => () => found.stop());
  return found;
}
