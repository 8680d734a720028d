/** Notes that were written and not saved, kept for the tab: going to another part of the run, or loading the page again, loses none. */
export interface NotesDraft {
  text: string;
  base: string; // the notes when it was begun
}

const place = (code: string): string => `scaleweb.notes.${code}`;

export function keptDraft(code: string): NotesDraft | null {
  try {
    const { text, base } = JSON.parse(sessionStorage.getItem(place(code)) ?? "null") ?? {};
    return typeof text === "string" && typeof base === "string" ? { text, base } : null;
  } catch {
    return null;
  }
}

export function keepDraft(code: string, draft: NotesDraft): void {
  try {
    sessionStorage.setItem(place(code), JSON.stringify(draft));
  } catch {
    // Full or forbidden: it lasts as long as the page.
  }
}

export function dropDraft(code: string): void {
  try {
    sessionStorage.removeItem(place(code));
  } catch {
    // Nothing was kept.
  }
}
