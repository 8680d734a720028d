/**
 * The server's time, whatever this computer's clock says: each answer's Date header tells how far the two are apart.
 *
 * Times that the server wrote are held against it, so that "12 s ago" is true on a computer whose clock is a day off.
 */
const HEADER_MILLISECONDS = 1000; // the header tells whole seconds, cut off

let offset = 0;

/** What an answer said the time was, with this computer's times of asking and of having the answer, in milliseconds. */
export function hearTime(header: string | null, asked: number, answered: number): void {
  const said = header ? Date.parse(header) : NaN;
  if (Number.isNaN(said)) return;
  const found = said + HEADER_MILLISECONDS / 2 - (asked + answered) / 2;
  const doubt = (answered - asked) / 2 + 1.5 * HEADER_MILLISECONDS;
  // Within the doubt nothing moves: a clock that is right stays as it is, and one that is corrected does not tremble.
  if (Math.abs(found - offset) > doubt) offset = Math.abs(found) > doubt ? found : 0;
}

export const serverNow = (): number => Date.now() + offset;

/** How far this computer's clock is ahead of the server's, in seconds. */
export const aheadSeconds = (): number => -offset / 1000;
