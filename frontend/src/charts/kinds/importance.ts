/** Which settings matter for a metric: rank correlation and a forest's permutation importance, worked out by the server. */
import { t } from "../../lib/i18n";
import type { PanelKind } from "./index";
import { firstMetric, nameOf } from "./columns";
import { textOf, type Stored } from "./read";

export const readImportance = (options: Stored) => ({ metric: textOf(options.metric) });

export const importance: PanelKind = {
  kind: "importance",
  name: () => t("Importance"),
  about: () => t("Which settings matter for a metric"),
  icon: "bolt",
  ofRuns: true,
  titleOf: (options) => t("What matters for {name}", { name: readImportance(options).metric }),
  start: (context) => ({ metric: nameOf(firstMetric(context)) }),
  body: () => import("./Importance.svelte") as never,
  editor: () => import("./ImportanceEditor.svelte") as never,
};
