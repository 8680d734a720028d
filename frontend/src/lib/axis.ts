/** Axes that are drawn without uPlot: of numbers, straight or logarithmic, and of words. */
export interface Tick {
  at: number; // 0 to 1
  label: string;
}

export interface Axis {
  share: (value: unknown) => number; // 0 to 1, NaN where the value has no place
  value: (share: number) => number;
  ticks: Tick[];
  log: boolean;
  words: string[]; // of an axis of words, in order
}

const ROUND = [1, 2, 5, 10];
const WIDE = 100; // from greatest to least: from there on an axis of positive numbers is better logarithmic
const MOST_WORDS = 200;

/** `log`: true (what is not above 0 has no place then), false, or null to be decided by the values. Numbers in text stay words. */
export function axisOf(values: unknown[], write: (value: number) => string, log: boolean | null = null, most = 5): Axis {
  const given = values.filter((value) => value !== null && value !== undefined && value !== "");
  const numbers = given.map(number).filter(Number.isFinite);
  // Some runs may have diverged to "NaN": that alone makes no axis of words.
  const asWords = given.some((value) => typeof value === "string" && !/^-?(NaN|Infinity)$/.test(value)) || (!numbers.length && given.length > 0);
  if (asWords) return ofWords(given);
  // Asked for, it stands over those that have a place on it; where none has, it is straight.
  const above = log ? numbers.filter((each) => each > 0) : [];
  if (!numbers.length) return { share: () => NaN, value: () => NaN, ticks: [], log: false, words: [] };
  let [low, high] = [Infinity, -Infinity];
  for (const each of above.length ? above : numbers) {
    if (each < low) low = each;
    if (each > high) high = each;
  }
  const bent = low > 0 && (log ?? high / low >= WIDE);
  if (low === high) [low, high] = bent ? [low / 2, high * 2] : [low - (Math.abs(low) * 0.1 || 1), high + (Math.abs(high) * 0.1 || 1)];
  const [from, to] = bent ? [Math.log10(low), Math.log10(high)] : [low, high];
  const share = (value: unknown) => ((bent ? Math.log10(number(value)) : number(value)) - from) / (to - from);
  const value = (at: number) => (bent ? 10 ** (from + at * (to - from)) : from + at * (to - from));
  const at = bent ? decades(from, to, most) : rounds(low, high, most);
  return { share: (each) => finite(share(each)), value, ticks: at.map((each) => ({ at: share(each), label: write(each) })), log: bent, words: [] };
}

const finite = (share: number): number => (Number.isFinite(share) ? share : NaN);
const number = (value: unknown): number => (typeof value === "number" ? value : typeof value === "boolean" ? Number(value) : NaN);

function ofWords(given: unknown[]): Axis {
  const words = [...new Set(given.map(String))].sort(new Intl.Collator("en", { numeric: true }).compare).slice(0, MOST_WORDS);
  const places = new Map(words.map((word, i) => [word, words.length === 1 ? 0.5 : i / (words.length - 1)]));
  const shown = words.length > 12 ? words.filter((_, i) => i % Math.ceil(words.length / 12) === 0) : words;
  return {
    share: (value) => places.get(String(value)) ?? NaN,
    value: (share) => share * Math.max(1, words.length - 1),
    ticks: shown.map((label) => ({ at: places.get(label)!, label })), log: false, words,
  };
}

/** Round values between two ends, at most about so many. */
export function rounds(low: number, high: number, most: number): number[] {
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ROUND.find((each) => each * power >= rough * (1 - 1e-9))!;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function decades(from: number, to: number, most: number): number[] {
  const [first, last] = [Math.ceil(from - 1e-9), Math.floor(to + 1e-9)];
  if (last - first < 1) return [10 ** from, 10 ** ((from + to) / 2), 10 ** to].map((each) => Number(each.toPrecision(2)));
  const every = Math.max(1, Math.ceil((last - first + 1) / most));
  return Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, i) => Number(`1e${first + i * every}`));
}
