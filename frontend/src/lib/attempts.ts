/** How an attempt ended, in a line: the signal or exit code, and the first line of the error. */
import type { Attempt } from "../api/types";
import { t } from "./i18n";

export function endOf({ signal, exit_code, first_error_line, ended_at }: Pick<Attempt, "signal" | "exit_code" | "first_error_line" | "ended_at">): string {
  if (!ended_at) return "";
  const how = signal ? t("signal {name}", { name: signal }) : exit_code ? t("exit code {n}", { n: exit_code }) : "";
  return [how, first_error_line].filter(Boolean).join(": ");
}
