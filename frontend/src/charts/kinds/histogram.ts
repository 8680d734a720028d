/** How a metric's last value, or a setting, is spread over the runs. */
import { t } from "../../lib/i18n";
import type { PanelKind } from "./index";
import { firstMetric } from "./columns";
import { textOf, wholeOf, type Stored } from "./read";

export const readHistogram = (options: Stored) => ({ column: textOf(options.column), bins: wholeOf(options.bins, 0, 0, 40) });

export const histogram: PanelKind = {
  kind: "histogram",
  name: () => t("Histogram"),
  about: () => t("How a metric's last value is spread over the runs"),
  icon: "histogram",
  ofRuns: true,
  titleOf: (options) => t("{name} over the runs", { name: readHistogram(options).column.replace(/^\w+:/, "") }),
  start: (context) => ({ column: firstMetric(context) }),
  body: () => import("./Histogram.svelte") as never,
  editor: () => import("./HistogramEditor.svelte") as never,
};
