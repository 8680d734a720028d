/** What a tab of a run shows. Charts, which one opens a run for, are here at once; each other part comes with its tab. */
import type { Component } from "svelte";
import type { Run } from "../../api/types";
import type { View } from "../../charts/view.svelte";
import type { RunState } from "../../state/run.svelte";

type Part = Component<{ state: RunState; run: Run; view: View }>;

export const PARTS: Record<string, () => Promise<{ default: Part }>> = {
  overview: () => import("./Overview.svelte") as never,
  control: () => import("./Control.svelte") as never,
  decisions: () => import("./Decisions.svelte") as never,
  logs: () => import("./Logs.svelte") as never,
  media: () => import("./Media.svelte") as never,
  system: () => import("./System.svelte") as never,
  config: () => import("./Config.svelte") as never,
  checkpoints: () => import("./Checkpoints.svelte") as never,
  notes: () => import("./Notes.svelte") as never,
  events: () => import("./Story.svelte") as never,
};
