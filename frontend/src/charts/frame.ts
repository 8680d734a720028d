/**
 * One animation frame for all charts: each piece of work asked for since the last one runs once.
 *
 * Thirty live charts take longer than a frame has: what does not fit waits for the next one, in turn, so that no frame
 * keeps a person's key or click waiting.
 */
const BUDGET_MILLISECONDS = 9;
const waiting = new Set<() => void>();
let asked = false;

export function onNextFrame(work: () => void): void {
  waiting.add(work);
  ask();
}

export function cancelFrame(work: () => void): void {
  waiting.delete(work);
}

function ask(): void {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    const end = performance.now() + BUDGET_MILLISECONDS;
    // What is asked for meanwhile, by the work itself too, is for the next frame.
    for (const work of [...waiting]) {
      waiting.delete(work);
      work();
      if (performance.now() >= end) break;
    }
    if (waiting.size) ask();
  });
}

/** How soon a chart whose drawing took so long may be drawn again for live points alone: a fifth of the time at most. */
export const restAfter = (milliseconds: number): number => (milliseconds < 2 ? 0 : Math.min(500, milliseconds * 5));
