/** Why a run needs a person, and where on its page that is seen. */
import { integer } from "./format";
import { t } from "./i18n";
import { said } from "./said";

export function needOf(attention: string): { words: string; tab: string } {
  const diverged = /^diverged: (.+) is broken since step (\d+)$/.exec(attention);
  if (diverged) return { words: t("{metric} is broken since step {n}", { metric: diverged[1], n: integer(Number(diverged[2])) }), tab: "charts" };
  const answer = /^waits for your answer: (.*)$/s.exec(attention);
  if (answer) return { words: t("waits for your answer: {what}", { what: said(answer[1]) }), tab: "decisions" };
  switch (attention) {
    case "failed": return { words: t("It ended with an error"), tab: "events" };
    case "lost": return { words: t("Its process or its node went away"), tab: "logs" };
    case "silent": return { words: t("Nothing has been heard of it for a while"), tab: "logs" };
    default: return { words: attention, tab: "charts" };
  }
}
