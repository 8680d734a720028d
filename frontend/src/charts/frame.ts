/**
 * One animation frame for all charts: each piece of work asked for since the last one runs once.
 *
 * Thirty live charts take longer than a frame has. What does not fit waits for the next one, in turn, so that no frame
 * keeps a person's key or click waiting; and drawing for live points alone rests twice as long as it took, so that it
 * takes a third of the time at most, however many charts there are and however slow the machine is.
 */
const BUDGET_MILLISECONDS = 9;
const REST = 2;
const now = new Set<() => void>();
const live = new Set<() => void>();
let asked = false;
let restUntil = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

/** A person did something: draw at the next frame. */
export function onNextFrame(work: () => void): void {
  live.delete(work);
  now.add(work);
  ask();
}

/** Points came: draw at the next frame that live drawing has time for. */
export function whenRested(work: () => void): void {
  if (now.has(work)) return;
  live.add(work);
  wait();
}

export function cancelFrame(work: () => void): void {
  now.delete(work);
  live.delete(work);
}

function ask(): void {
  if (asked) return;
  asked = true;
  requestAnimationFrame(frame);
}

function wait(): void {
  if (asked || timer !== undefined || !live.size) return;
  const left = restUntil - performance.now();
  if (left <= 0) return ask();
  timer = setTimeout(() => {
    timer = undefined;
    ask();
  }, left);
}

function frame(): void {
  asked = false;
  const began = performance.now();
  const end = began + BUDGET_MILLISECONDS;
  run(now, end);
  const from = performance.now();
  if (from >= restUntil && from < end) {
    run(live, end);
    const to = performance.now();
    if (to > from) restUntil = to + REST * (to - from);
  }
  if (now.size) ask();
  else wait();
}

/** What is asked for meanwhile, by the work itself too, is for the next frame. */
function run(waiting: Set<() => void>, end: number): void {
  for (const work of [...waiting]) {
    waiting.delete(work);
    work();
    if (performance.now() >= end) return;
  }
}
