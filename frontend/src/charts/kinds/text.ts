/** Words among the charts: what to look at, and what was found. */
import { t } from "../../lib/i18n";
import type { PanelKind } from "./index";
import { textOf } from "./read";

export const text: PanelKind = {
  kind: "text",
  name: () => t("Text"),
  about: () => t("Notes among the charts"),
  icon: "text",
  ofRuns: false,
  titleOf: (options) => textOf(options.text).split("\n")[0].replace(/^#+\s*/, "").slice(0, 80) || t("Text"),
  start: () => ({ text: "" }),
  body: () => import("./Text.svelte") as never,
  editor: () => import("./TextEditor.svelte") as never,
};
