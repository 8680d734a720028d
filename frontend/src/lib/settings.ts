import { t } from "./i18n";

/** NAME=value lines as a person types them. */
export interface Settings {
  values: Record<string, string>;
  error: string;
}

/** A name of a label of nodes, which may be "gpu-type" or "example.org/rack". */
export const LABEL = /[^=\s]+/;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/;

/** One setting a line; blank lines and lines that start with # are passed over. The last of two equal names wins. */
export function parseSettings(text: string, name = NAME): Settings {
  const pair = new RegExp(`^(${name.source})=(.*)$`);
  const values: Record<string, string> = {};
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (!line || line.startsWith("#")) continue;
    const match = pair.exec(line);
    if (!match) return { values, error: t("line {n} is not NAME=value", { n: index + 1 }) };
    values[match[1]] = match[2];
  }
  return { values, error: "" };
}
