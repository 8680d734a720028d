/** One bar a run, or a group of runs: a metric's last value or a setting. */
import { t } from "../../lib/i18n";
import type { PanelKind } from "./index";
import { firstMetric } from "./columns";
import { oneOf, textOf, wholeOf, type Stored } from "./read";

export const readBar = (options: Stored) => ({
  column: textOf(options.column),
  of: oneOf(options.of, ["drawn", "all"] as const, "drawn"),
  most: wholeOf(options.most, 30, 1, 200),
});

export const bar: PanelKind = {
  kind: "bar",
  name: () => t("Bars"),
  about: () => t("A metric's last value, run by run"),
  icon: "bars",
  ofRuns: true,
  titleOf: (options) => readBar(options).column.replace(/^\w+:/, "") || t("Bars"),
  start: (context) => ({ column: firstMetric(context) }),
  body: () => import("./Bar.svelte") as never,
  editor: () => import("./BarEditor.svelte") as never,
};
