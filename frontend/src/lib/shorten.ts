/** Names cut in the middle: what tells two of them apart stands at their ends more often than not. */
const LEAST = 14; // letters that fit anywhere
const TAIL = 14; // of the end that is kept

/** A name in two: the beginning, which may be cut, and the end, which stays. Cut where a word begins, if one does nearby. */
export function halves(name: string): [head: string, tail: string] {
  if (name.length <= LEAST) return [name, ""];
  const tail = Math.min(TAIL, Math.floor(name.length / 2));
  const from = name.length - tail;
  for (let at = from; at <= name.length - 3; at++) if (/[\s,;:_/.-]/.test(name[at - 1]) && /[^\s,;:_/.-]/.test(name[at])) return [name.slice(0, at), name.slice(at)];
  return [name.slice(0, from), name.slice(from)];
}
