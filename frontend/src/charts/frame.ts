/** One animation frame for all charts: each piece of work asked for since the last one runs once. */
const waiting = new Set<() => void>();
let asked = false;

export function onNextFrame(work: () => void): void {
  waiting.add(work);
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    const now = [...waiting];
    waiting.clear();
    for (const work of now) work();
  });
}

export function cancelFrame(work: () => void): void {
  waiting.delete(work);
}
