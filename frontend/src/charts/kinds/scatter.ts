/** A dot a run: one column against another. */
import { t } from "../../lib/i18n";
import type { PanelKind } from "./index";
import { firstMetric, firstSettings, nameOf } from "./columns";
import { oneOf, textOf, type Stored } from "./read";

const BENDS = ["auto", "linear", "log"] as const;
export const bend = (value: (typeof BENDS)[number]): boolean | null => (value === "auto" ? null : value === "log");

export const readScatter = (options: Stored) => ({
  x: textOf(options.x), y: textOf(options.y), xScale: oneOf(options.xScale, BENDS, "auto"), yScale: oneOf(options.yScale, BENDS, "auto"),
});

export const scatter: PanelKind = {
  kind: "scatter",
  name: () => t("Scatter"),
  about: () => t("One setting or metric against another, a dot a run"),
  icon: "scatter",
  ofRuns: true,
  titleOf: (options) => {
    const { x, y } = readScatter(options);
    return t("{y} against {x}", { x: nameOf(x), y: nameOf(y) });
  },
  start: (context) => ({ x: firstSettings(context, 1)[0] ?? firstMetric(context), y: firstMetric(context) }),
  body: () => import("./Scatter.svelte") as never,
  editor: () => import("./ScatterEditor.svelte") as never,
};
