import { t } from "./i18n";

/** NAME=value lines as a person types them. */
export interface Settings {
  values: Record<string, string>;
  error: string;
}

/** One setting a line; blank lines and lines that start with # are passed over. The last of two equal names wins. */
export function parseSettings(text: string): Settings {
  const values: Record<string, string> = {};
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (!line || line.startsWith("#")) continue;
    const match = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line);
    if (!match) return { values, error: t("line {n} is not NAME=value", { n: index + 1 }) };
    values[match[1]] = match[2];
  }
  return { values, error: "" };
}
