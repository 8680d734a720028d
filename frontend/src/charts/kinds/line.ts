/** Lines of metrics, or of calculations over them, along the axis of the page. */
import { parseExpression, quoted, type Parsed } from "../../lib/expression";
import { t } from "../../lib/i18n";
import { SCALES, type Scale } from "../look";
import { isMap } from "../panels/spec";
import { firstKey } from "./columns";
import type { PanelKind } from "./index";
import { oneOf, textOf, type Stored } from "./read";

export interface LineSeries {
  text: string; // as it is shown and edited
  parsed: Parsed;
  second: boolean; // on the axis on the right
}

export interface LineOptions {
  series: LineSeries[];
  scale: Scale | ""; // "": the page's
  robust: boolean | null; // null: the page's
}

const MOST_SERIES = 12;

export function readLine(options: Stored, known: readonly string[] = []): LineOptions {
  const series = (Array.isArray(options.series) ? options.series : []).slice(0, MOST_SERIES).filter(isMap).map(
    ({ key, expression, second }): LineSeries =>
      typeof key === "string" && key
        ? { text: quoted(key), parsed: { tree: { kind: "key", key }, keys: [key], error: "" }, second: second === true }
        : { text: textOf(expression), parsed: parseExpression(textOf(expression), known), second: second === true },
  );
  return { series, scale: oneOf(options.scale, ["", ...SCALES], ""), robust: typeof options.robust === "boolean" ? options.robust : null };
}

/** The same as it is stored: a lone metric by its key, which may look like anything. */
export function storeLine({ series, scale, robust }: LineOptions): Stored {
  return {
    series: series.map(({ text, parsed, second }) => ({
      ...(parsed.tree?.kind === "key" ? { key: parsed.tree.key } : { expression: text }), ...(second ? { second } : {}),
    })),
    ...(scale ? { scale } : {}),
    ...(robust === null ? {} : { robust }),
  };
}

export const line: PanelKind = {
  kind: "line",
  name: () => t("Lines"),
  about: () => t("Metrics and calculations such as 1 - acc, along the step"),
  icon: "chart",
  ofRuns: false,
  titleOf: (options, context) =>
    readLine(options).series.map(({ text, parsed }) => (parsed.tree?.kind === "key" ? context.heading(parsed.tree.key) : text)).join(", ") || t("Lines"),
  start: (context) => ({ series: context.keys.length ? [{ key: firstKey(context) }] : [] }),
  body: () => import("./Line.svelte") as never,
  editor: () => import("./LineEditor.svelte") as never,
};
