/**
 * One animation frame for all charts: each piece of work asked for since the last one runs once.
 *
 * Thirty live charts take longer than a frame has. What does not fit waits for the next one, in turn, so that no frame
 * keeps a person's key or click waiting; and drawing for live points alone rests twice as long as it took, so that it
 * takes a third of the time at most, however many charts there are and however slow the machine is. What a canvas was told
 * is painted after the frame's own work, without a GPU by this very thread: that counts as well, and so a frame takes on
 * as many charts as it has time for by what the last ones cost.
 */
const BUDGET_MILLISECONDS = 9;
const REST = 2;
const now = new Set<() => void>();
const live = new Set<() => void>();
let asked = false;
let restUntil = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let cost = 0; // milliseconds of one piece of work and its painting, in the last frame that had some

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
  const wanted = run(now, began, 0);
  const from = performance.now();
  const ran = from < restUntil ? wanted : run(live, began, wanted);
  if (ran > wanted) rest(from);
  if (ran) {
    setTimeout(() => {
      // After the painting. One that is not quite in view is painted for nothing, and the next ones may not be.
      cost = Math.max((performance.now() - began) / ran, cost / 2);
      if (ran > wanted) rest(from);
    });
  }
  if (now.size) ask();
  else wait();
}

/** Counts what has been done since then as drawn for live points. */
function rest(since: number): void {
  const to = performance.now();
  if (to > since) restUntil = to + REST * (to - since);
}

/** What is asked for meanwhile, by the work itself too, is for the next frame. Tells how many the frame has run by now. */
function run(waiting: Set<() => void>, began: number, before: number): number {
  let ran = before;
  for (const work of [...waiting]) {
    if (ran && (performance.now() - began >= BUDGET_MILLISECONDS || ran * cost >= BUDGET_MILLISECONDS)) break;
    waiting.delete(work);
    work();
    ran += 1;
  }
  return ran;
}
