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

const FEW = 8; // lines by which a list moves on while it is read: so many elements are moved rather than all changed

/** Which of so many elements a line is drawn in, so that scrolling makes none anew. */
export class Slots {
  private from = 0;
  private shift = 0;
  private slots = 0;

  /** `from`: the first line that is drawn now, of as many as there are `slots`. Tells the element of each line. */
  at(from: number, slots: number): (line: number) => number {
    const by = from - this.from;
    // A few at the end go to the other end. Further on all elements stay where they are, and show other lines: an
    // element that is moved is styled and laid out anew, which is dearer than another text. Where there are fewer
    // elements from now on they stand in their own order: then lines keep theirs when there are more again.
    if (slots < this.slots) this.shift = -from;
    else if (Math.abs(by) > FEW) this.shift -= by;
    this.from = from;
    this.slots = slots;
    const { shift } = this;
    return (line) => (((line + shift) % slots) + slots) % slots;
  }
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
