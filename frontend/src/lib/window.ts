/** Which rows of a long table are drawn. Every row is as high as the others, so that this is arithmetic. */
export interface Part {
  from: number;
  to: number; // exclusive
}

/** The rows in view and `spare` more on each side. */
export function inView(top: number, height: number, row: number, count: number, spare: number): Part {
  const from = Math.min(count, Math.max(0, Math.floor(top / row) - spare));
  return { from, to: Math.min(count, Math.max(from, Math.ceil((top + height) / row) + spare)) };
}

/** Blocks of lines one under the other: a group's head is one line, and the runs of an open one follow it. */
export interface Block {
  lines: number;
}

export interface Place {
  block: number;
  line: number; // within it, the head being 0
}

/** Where each block begins, and in the end how many lines there are. */
export function beginnings(blocks: Block[]): number[] {
  const starts = [0];
  for (const { lines } of blocks) starts.push(starts[starts.length - 1] + lines);
  return starts;
}

export function placeOf(starts: number[], line: number): Place {
  let [low, high] = [0, starts.length - 2];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle] <= line) low = middle;
    else high = middle - 1;
  }
  return { block: low, line: line - starts[low] };
}

/** How far to scroll so that a row is wholly in view, below `head` pixels of header; the same where it is already. */
export function scrolledTo(line: number, top: number, height: number, row: number, head: number): number {
  const [start, end] = [line * row, (line + 1) * row];
  if (start < top) return start;
  return end > top + height - head ? end - height + head : top;
}
