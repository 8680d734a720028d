/** Keyboard shortcuts: one list, which the page of help shows and the listener obeys. */
export interface Shortcut {
  keys: string;
  words: string;
  run: () => void;
}

const SEQUENCE_MILLISECONDS = 1000;

export function listen(shortcuts: Shortcut[]): () => void {
  let first = "";
  let at = 0;
  const pressed = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const sequence = first && event.timeStamp - at < SEQUENCE_MILLISECONDS ? `${first} ${event.key}` : event.key;
    const found = shortcuts.find((each) => each.keys === sequence);
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
  return target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName) || !!target.closest("dialog[open]");
}

/** Put the cursor into the page's search field, where it has one. */
export function focusSearch(): void {
  const field = document.querySelector<HTMLInputElement>("main [data-search]");
  field?.focus();
  field?.select();
}
