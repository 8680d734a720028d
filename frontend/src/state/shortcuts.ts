/** Keyboard shortcuts: one list, which the page of help shows and the listener obeys. */
export interface Shortcut {
  keys: string;
  words: string;
  run: () => void;
}

const SEQUENCE_MILLISECONDS = 1000;
const MODIFIERS = new Set(["Shift", "Control", "Alt", "Meta", "AltGraph", "CapsLock"]);

/** What a key means after another one: their sequence where there is such a shortcut, else the key alone. */
export function match(shortcuts: Shortcut[], before: string, key: string): Shortcut | undefined {
  return shortcuts.find((each) => each.keys === `${before} ${key}`) ?? shortcuts.find((each) => each.keys === key);
}

/** `offered` is asked at each key: what a page offers changes with what is live, and must not cut a sequence in two. */
export function listen(offered: () => Shortcut[]): () => void {
  let first = "";
  let at = 0;
  const pressed = (event: KeyboardEvent) => {
    const shortcuts = offered();
    // Ctrl+K, on a Mac Command+K, is meant wherever the cursor stands; a dialog that is open comes first.
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
      const chord = shortcuts.find((each) => each.keys === `Ctrl ${event.key.toLowerCase()}`);
      if (!chord || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      chord.run();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (MODIFIERS.has(event.key)) return; // of "?" the Shift comes first, as a key of its own
    const found = match(shortcuts, event.timeStamp - at < SEQUENCE_MILLISECONDS ? first : "", event.key);
    first = found ? "" : event.key;
    at = event.timeStamp;
    if (!found) return;
    event.preventDefault();
    found.run();
  };
  window.addEventListener("keydown", pressed);
  return () => window.removeEventListener("keydown", pressed);
}

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  // A dialog that was just closed holds the focus until the next frame: its field is none any more.
  if (target.closest("dialog:not([open])")) return false;
  return target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName) || !!target.closest("dialog[open]");
}

/** Put the cursor into the page's search field, where it has one. */
export function focusSearch(): void {
  const field = document.querySelector<HTMLInputElement>("main [data-search]");
  field?.focus();
  field?.select();
}
