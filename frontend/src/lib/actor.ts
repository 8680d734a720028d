/** Who or what did something, as the server keeps it, in words: a person's name as it is. */
import { t } from "./i18n";
import { policyName } from "./policies";

export function actorName(actor: string): string {
  if (actor === "system") return t("the site");
  if (actor === "the process" || actor === "process 0") return t("the process");
  if (/^process \d+$/.test(actor)) return t("process {n}", { n: actor.slice(8) });
  if (actor.startsWith("controller:")) return t("controller ({policy})", { policy: policyName(actor.slice(11)) });
  return actor;
}
