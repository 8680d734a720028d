/** What the command palette does on every page, beside its going about; apart from the shell, which is on the wire first. */
import { toClipboard } from "../lib/clipboard";
import { t, term } from "../lib/i18n";
import type { Entry } from "../lib/palette";
import { language } from "./language.svelte";
import { theme, THEMES } from "./theme.svelte";
import { toasts } from "./toasts.svelte";

/** Each in its own words, so that whoever looks for "dark" or for "中文" finds it. */
export const doneEverywhere = (): Entry[] =>
  [
    ...THEMES.map((each) => ({ label: t("Theme: {name}", { name: term(each) }), run: () => theme.choose(each) })),
    { label: "Language: English", run: () => void language.choose("en") },
    { label: "语言：简体中文", run: () => void language.choose("zh") },
    { label: t("Copy the address of this page"), run: () => void copyAddress() },
  ].map((each) => ({ ...each, hint: "" }));

async function copyAddress() {
  if (await toClipboard(location.href)) toasts.say(t("The address is on the clipboard."), "good");
  else toasts.say(t("The browser keeps the clipboard from this page. The address is {url}", { url: location.href }), "bad");
}
