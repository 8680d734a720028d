/** The person's language and time zone: chosen in Settings, else the browser's. */
import { fromBrowser, LANGUAGES, speak, type Language, type Words } from "../lib/i18n";
import { hear, type Sentences } from "../lib/said";
import { tellIn } from "../lib/when";
import { readStored, writeStored } from "./stored";

const CATALOGUES: Record<Exclude<Language, "en">, () => Promise<{ default: Words; server: Sentences }>> = {
  zh: () => import("../words/zh"),
};

/** How the pages that the server writes itself (login, errors, the admin) hear of the choice. */
const COOKIE = "scaleweb_language";
const CODES: Record<Language, string> = { en: "en", zh: "zh-hans" };
const YEAR_SECONDS = 31_536_000;

class LanguageState {
  /** What the person chose; "system" is the browser's. */
  chosen = $state<Language | "system">(known(readStored<string>("language", "system")));
  zone = $state(readStored("zone", ""));
  /** Rises with each change: App draws the page anew then, for texts are not followed one by one. */
  version = $state(0);

  /** Resolves as soon as the page can be drawn in its language; a catalogue out of reach leaves it in English. */
  async start(): Promise<void> {
    tellIn(this.zone);
    tellServer(this.chosen);
    await this.load();
  }

  async choose(language: Language | "system"): Promise<void> {
    this.chosen = language;
    writeStored("language", language);
    tellServer(language);
    await this.load();
    this.version += 1;
  }

  chooseZone(zone: string): void {
    this.zone = zone;
    writeStored("zone", zone);
    tellIn(zone);
    this.version += 1;
  }

  private async load(): Promise<void> {
    const wanted = this.chosen;
    const language = wanted === "system" ? fromBrowser(navigator.languages) : wanted;
    const file = language === "en" ? null : await CATALOGUES[language]().catch(() => null);
    const words = file?.default ?? null;
    if (this.chosen !== wanted) return; // another was chosen meanwhile
    speak(words ? language : "en", words);
    hear(file?.server ?? null);
    document.documentElement.lang = words && language === "zh" ? "zh-Hans" : "en";
  }
}

function known(language: string): Language | "system" {
  return Object.hasOwn(LANGUAGES, language) ? (language as Language) : "system";
}

function tellServer(chosen: Language | "system") {
  const secure = location.protocol === "https:" ? "; secure" : "";
  const value = chosen === "system" ? "; max-age=0" : `${CODES[chosen]}; max-age=${YEAR_SECONDS}`;
  document.cookie = `${COOKIE}=${value}; path=/; samesite=lax${secure}`;
}

export const language = new LanguageState();
