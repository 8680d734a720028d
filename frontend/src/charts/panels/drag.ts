/** Panels under a pointer: drawn larger at their corner, carried to another place by their grip. */
import { HEIGHTS, MOST_COLUMNS } from "./spec";

interface Size {
  columns: number;
  height: number;
}

/** Follows the pointer until it is let go: `now` hears of each size on the way, `end` of the last. */
export function resized(event: PointerEvent, box: HTMLElement, from: Size, now: (size: Size) => void, end: (size: Size) => void): void {
  if (event.button) return;
  event.preventDefault();
  const corner = event.currentTarget as HTMLElement;
  corner.setPointerCapture(event.pointerId);
  // A panel that is wider than the grid shows as wide as the grid is.
  const column = box.clientWidth / Math.max(1, Number(getComputedStyle(box.parentElement ?? box).getPropertyValue("--wide")) || from.columns);
  let size = { columns: from.columns, height: from.height };
  const move = (at: PointerEvent) => {
    size = {
      columns: Math.min(MOST_COLUMNS, Math.max(1, from.columns + Math.round((at.clientX - event.clientX) / column))),
      height: Math.min(HEIGHTS.most, Math.max(HEIGHTS.least, Math.round(from.height + at.clientY - event.clientY))),
    };
    now(size);
  };
  follow(corner, move, () => end(size));
}

export interface Drop {
  section: string;
  before: string | null; // the panel that it goes before; null: to the end
}

const EDGE = 70; // pixels from the window's edge: there the page scrolls along
const SCROLL = 14;

/** Carries a panel: `over` hears where it would land (null: nowhere), `end` where it was let go. */
export function carried(event: PointerEvent, id: string, over: (drop: Drop | null) => void, end: (drop: Drop | null) => void): void {
  if (event.button) return;
  event.preventDefault();
  const grip = event.currentTarget as HTMLElement;
  grip.setPointerCapture(event.pointerId);
  let drop: Drop | null = null;
  const move = (at: PointerEvent) => {
    if (at.clientY < EDGE) window.scrollBy(0, -SCROLL);
    else if (at.clientY > innerHeight - EDGE) window.scrollBy(0, SCROLL);
    drop = placeAt(at.clientX, at.clientY, id);
    over(drop);
  };
  follow(grip, move, (cancelled) => end(cancelled ? null : drop));
}

function placeAt(x: number, y: number, id: string): Drop | null {
  const under = document.elementFromPoint(x, y)?.closest<HTMLElement>("[data-panel], [data-section]");
  if (!under) return null;
  const section = under.closest<HTMLElement>("[data-section]")?.dataset.section;
  if (section === undefined) return null;
  const panel = under.dataset.panel;
  if (panel === undefined) return { section, before: null };
  if (panel === id) return null;
  const box = under.getBoundingClientRect();
  if (x < box.left + box.width / 2) return { section, before: panel };
  const next = under.nextElementSibling as HTMLElement | null;
  return { section, before: next?.dataset.panel === id ? ((next.nextElementSibling as HTMLElement | null)?.dataset.panel ?? null) : (next?.dataset.panel ?? null) };
}

function follow(from: HTMLElement, move: (event: PointerEvent) => void, end: (cancelled: boolean) => void): void {
  const stop = (event: PointerEvent) => {
    from.removeEventListener("pointermove", move);
    from.removeEventListener("pointerup", stop);
    from.removeEventListener("pointercancel", stop);
    end(event.type === "pointercancel");
  };
  from.addEventListener("pointermove", move);
  from.addEventListener("pointerup", stop);
  from.addEventListener("pointercancel", stop);
}
