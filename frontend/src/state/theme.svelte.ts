/** Light, dark, or as the system has it. public/theme.js sets the same before the first paint. */
import { readStored, writeStored } from "./stored";

export type Theme = "light" | "dark" | "system";

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
    const order: Theme[] = ["system", "light", "dark"];
    this.choose(order[(order.indexOf(this.chosen) + 1) % order.length]);
  }
}

export const theme = new ThemeState();
