/** Put text on the clipboard: false where the browser lets no page do so. The focus stays where it was. */
export async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return olderWay(text); // plain http on another host has no clipboard API
  }
}

function olderWay(text: string): boolean {
  const focused = document.activeElement as HTMLElement | null;
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed"; // it is in view wherever the page stands: nothing scrolls to it
  // While a dialog is open, nothing outside of it can be selected.
  const dialog = focused?.closest("dialog[open]") ?? [...document.querySelectorAll("dialog[open]")].at(-1);
  (dialog ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus({ preventScroll: true });
  return done;
}
