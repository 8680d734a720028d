/**
 * Fingers on a chart: one that moves sideways is the crosshair, two zoom.
 *
 * Up and down is left to the page (touch-action: pan-y), which takes a finger back with pointercancel.
 */
import type { Range } from "../lib/zoom";

export interface Fingers {
  point: (left: number, top: number) => void;
  /** Two fingers, from where they began to where they are; pixels from the plot's left. */
  pinch: (from: Range, to: Range) => void;
  /** The second finger came: what a pinch is reckoned from. */
  start: () => void;
}

export function listenToFingers(over: HTMLElement, fingers: Fingers): void {
  const began = new Map<number, number>();
  const at = new Map<number, number>();
  const place = (event: PointerEvent) => {
    const box = over.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top] as const;
  };
  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch" || began.size === 2) return;
    began.set(event.pointerId, place(event)[0]);
    for (const [id, left] of at) began.set(id, left);
    at.set(event.pointerId, place(event)[0]);
    if (began.size === 2) fingers.start();
  });
  over.addEventListener("pointermove", (event) => {
    if (!began.has(event.pointerId)) return;
    const [left, top] = place(event);
    at.set(event.pointerId, left);
    if (began.size === 1) fingers.point(left, top);
    else fingers.pinch([...began.values()] as Range, [...began.keys()].map((id) => at.get(id)!) as Range);
  });
  const gone = (event: PointerEvent) => {
    began.delete(event.pointerId);
    at.delete(event.pointerId);
  };
  over.addEventListener("pointerup", gone);
  over.addEventListener("pointercancel", gone);
}
