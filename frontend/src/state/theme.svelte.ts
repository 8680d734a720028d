/** Light, dark, or as the system has it. public/theme.js sets the same before the first paint. */
import { readStored, writeStored } from "./stored";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

class ThemeState {
  chosen = $state<Theme>(readStored<Theme>("theme", "system"));
  /** Rises with each change, so that canvases know to read their colours again. */
  version = $state(0);

  constructor() {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (this.version += 1));
  }

  choose(theme: Theme): void {
    this.chosen = theme;
    writeStored("theme", theme);
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    this.version += 1;
  }

  next(): void {
    this.choose(THEMES[(THEMES.indexOf(this.chosen) + 1) % THEMES.length]);
  }
}

export const theme = new ThemeState();
