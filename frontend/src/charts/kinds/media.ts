/** Images, sound, tables, histograms and text of a key, the runs side by side at one step. */
import type { Media, MediaKey } from "../../api/types";
import { t } from "../../lib/i18n";
import type { PanelKind } from "./index";
import { textOf, wholeOf, type Stored } from "./read";

export const MOST_RUNS = 12;
export const SHOWN = ["image", "table", "audio", "histogram", "text"] as const;
export type Shown = (typeof SHOWN)[number] & Media["kind"];

/** key "": the first there is. */
export const readMedia = (options: Stored) => ({ key: textOf(options.key), runs: wholeOf(options.runs, 6, 1, MOST_RUNS) });

const rank = (kind: string): number => SHOWN.indexOf(kind as Shown);

/** Every key that some run has and a panel can show, images first. */
export function keysOf(found: readonly { keys: readonly Pick<MediaKey, "key" | "kind">[] }[]): { key: string; kind: Shown }[] {
  const all = new Map<string, Shown>();
  for (const { keys } of found) for (const { key, kind } of keys) if (rank(kind) >= 0 && !all.has(key)) all.set(key, kind as Shown);
  return [...all].map(([key, kind]) => ({ key, kind })).sort((a, b) => rank(a.kind) - rank(b.kind) || (a.key < b.key ? -1 : 1));
}

export const media: PanelKind = {
  kind: "media",
  name: () => t("Images and media"),
  about: () => t("Images, tables, sound or text of a key, runs side by side at one step"),
  icon: "image",
  ofRuns: false,
  columns: 2,
  titleOf: (options) => readMedia(options).key || t("Images and media"),
  start: () => ({ key: "" }),
  body: () => import("./Media.svelte") as never,
  editor: () => import("./MediaEditor.svelte") as never,
};
