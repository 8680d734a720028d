/**
 * The picture of a decision: what was before it, what not acting was forecast to bring, and what came instead.
 *
 * Left of the decision run the steps that led to it, right of it those that followed, beside the forecast of the same
 * length. After a roll back the steps on the right begin again at the checkpoint's.
 */
import type { Decision } from "../api/types";
import { branchAfter, branchAt, lineOf, type Branch, type Pair } from "./branches";
import type { Part } from "./columns";
import { integer, number } from "./format";
import { stepLabel } from "./ticks";

export type Turn = "checkpoint" | "set" | "onset" | "decided";
export interface PictureMark {
  kind: Turn;
  x: number;
  step: number;
}
export interface Tick {
  at: number;
  label: string;
}
export interface Picture {
  points: Record<"before" | "left" | "after", string>; // of SVG polylines, every point that was read
  before: string; // their running median, by whose like verdicts are found
  left: string; // what a roll back left behind
  after: string;
  forecast: string;
  band: string; // of a polygon
  marks: PictureMark[];
  judged: [from: number, to: number] | null; // where it was measured, in pixels
  xs: Tick[];
  ys: Tick[];
  log: boolean;
  decidedX: number;
}

export interface Frame {
  width: number;
  height: number;
  leftPad: number;
  bottomPad: number;
}

type Of = Pick<Decision, "forecast" | "expected" | "evidence" | "decided_step" | "applied_step" | "judge_at_step" | "measured" | "verb" | "state" | "created_at">;

const LEAD = 0.35; // of the steps that matter before the decision, shown ahead of them
const AIR = 26; // pixels above the highest point, for the marks
const MANY_TIMES = 30; // from there on a level scale would press the lower part flat
const IN_LOGARITHMS = 8; // where the forecast itself was made in logarithms

/** The steps that have to be read for it. */
export function stepsOf(decision: Of): { from: number; to: number; horizon: number; start: number; end: number } {
  const { decided_step: decided, evidence } = decision;
  const start = startOf(decision);
  const horizon = Math.max(1, decision.judge_at_step - (decision.applied_step ?? decided));
  const first = Array.isArray(evidence.window) && typeof evidence.window[0] === "number" ? evidence.window[0] : decided - horizon;
  const turns = [first, start, figure(evidence.onset_step), figure(evidence.changed_step)].filter((step): step is number => step !== null && step <= decided);
  const from = Math.max(0, Math.floor(decided - (decided - Math.min(...turns, decided - horizon / 2)) * (1 + LEAD)));
  // As far again as it was judged: whether it lasted.
  return { from, to: decided, horizon, start, end: start + Math.round(1.5 * horizon) };
}

/** Where the steps after the decision begin: at the checkpoint for a roll back, else where the run was. */
const startOf = ({ verb, applied_step, decided_step, evidence }: Of): number =>
  verb === "rollback" ? (applied_step ?? figure(evidence.checkpoint_step) ?? decided_step) : decided_step;

const figure = (value: unknown): number | null => (typeof value === "number" ? value : null);
const ACTED = new Set(["applied", "judged", "undone"]);

export function pictureOf(decision: Of, parts: readonly Part[], branches: readonly Branch[], frame: Frame): Picture | null {
  const { from, to, horizon, start, end } = stepsOf(decision);
  const { steps = [], mean = [], low = mean, high = mean } = decision.forecast;
  const told = mean.length > 1 && mean.length === steps.length;
  const known: Branch[] = branches.length ? [...branches] : [{ index: 0, from_step: 0, reason: "start", at: "" }];
  const rolled = decision.verb === "rollback" && ACTED.has(decision.state);
  const was = branchAt(known, Date.parse(decision.created_at));
  const now = rolled ? branchAfter(known, was, start) : was;
  const before = lineOf(parts, known, was, from, to);
  const after = now === null ? [] : lineOf(parts, known, now, start + (rolled ? 1 : 0), end);
  const kept = rolled ? before.filter(([step]) => step <= start) : before;
  const left = rolled ? before.filter(([step]) => step >= start) : [];

  if (before.length + after.length < 2) return null;
  const levels = { kept: levelOf(kept), left: levelOf(left), after: levelOf(after) };
  const seen = [...before, ...after].map(([, y]) => y).sort((a, b) => a - b);
  // One point in fifty at either end may stand out of the picture: a spike must not press the rest flat.
  const spread = [seen[Math.floor(seen.length / 50)], seen[Math.ceil(seen.length * 0.98) - 1]];
  const ends = [...low, ...high, ...mean, ...spread, ...Object.values(levels).flat().map(([, y]) => y)].filter(Number.isFinite);
  const log = Math.min(...ends) > 0 && Math.max(...ends) / Math.min(...ends) > (decision.forecast.log ? IN_LOGARITHMS : MANY_TIMES);
  const to_y = log ? Math.log : (value: number): number => value;
  const [bottom, top] = [to_y(Math.min(...ends)), to_y(Math.max(...ends))];

  const plot = frame.width - frame.leftPad - 8;
  const length = end - start;
  const decidedX = frame.leftPad + plot * Math.min(0.62, Math.max(0.38, (to - from) / (to - from + length)));
  const bx = (step: number): number => frame.leftPad + ((step - from) / Math.max(1, to - from)) * (decidedX - frame.leftPad);
  const ax = (step: number): number => decidedX + ((step - start) / length) * (frame.leftPad + plot - decidedX);
  const py = (value: number): number => AIR + (1 - Math.min(1, Math.max(0, (to_y(Math.max(value, log ? Math.min(...ends) : value)) - bottom) / (top - bottom || 1)))) * (frame.height - frame.bottomPad - AIR - 2);
  const draw = (pairs: Pair[], x: (step: number) => number): string => pairs.map(([step, y]) => `${x(step).toFixed(1)},${py(y).toFixed(1)}`).join(" ");
  // The forecast was made for the steps that would have followed: it stands beside those that did.
  const ahead = (values: number[]): Pair[] => (told ? steps.map((step, i): Pair => [start + step - steps[0], values[i]]) : []);
  const turns: [Turn, number | null][] = [
    ["checkpoint", decision.verb === "rollback" ? start : null], ["set", figure(decision.evidence.changed_step)],
    ["onset", figure(decision.evidence.onset_step)], ["decided", to],
  ];
  const window = decision.measured.window as unknown;
  return {
    points: { before: draw(kept, bx), left: draw(left, bx), after: draw(after, ax) },
    before: draw(levels.kept, bx), left: draw(levels.left, bx), after: draw(levels.after, ax), forecast: draw(ahead(mean), ax), band: draw([...ahead(high), ...ahead(low).reverse()], ax),
    marks: turns.flatMap(([kind, step]) => (step === null || step < from || step > to ? [] : [{ kind, step, x: bx(step) }])),
    judged: Array.isArray(window) && typeof window[0] === "number" && typeof window[1] === "number" ? [ax(window[0]), ax(window[1])] : null,
    xs: [...stepTicks(from, to, bx, 3), ...stepTicks(start, start + horizon, ax, 2).filter(({ at }) => at > decidedX + 30)],
    ys: valueTicks(Math.min(...ends), Math.max(...ends), log).map((value) => ({ at: py(value), label: number(value, 3) })),
    log, decidedX,
  };
}

/** The running median over a twentieth of the points; the points themselves where there are few. */
function levelOf(pairs: Pair[]): Pair[] {
  const half = Math.min(20, Math.floor(pairs.length / 40));
  if (half < 1) return pairs;
  return pairs.map(([step], i): Pair => {
    const near = pairs.slice(Math.max(0, i - half), i + half + 1).map(([, y]) => y).sort((a, b) => a - b);
    return [step, near[near.length >> 1]];
  });
}

/** Round steps within a range, at most `most` of them. */
function stepTicks(from: number, to: number, x: (step: number) => number, most: number): Tick[] {
  const stride = roundUp((to - from) / most);
  const out: Tick[] = [];
  for (let step = Math.ceil(from / stride) * stride; step <= to; step += stride) out.push({ at: x(step), label: stepLabel(step) || integer(step) });
  return out;
}

function roundUp(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, raw)));
  return ([1, 2, 5, 10].find((times) => times * power >= raw) ?? 10) * power;
}

/** Two to four round values; powers of ten on a logarithmic scale. */
export function valueTicks(low: number, high: number, log: boolean): number[] {
  // What was forecast of an explosion may be beyond the largest number: steps towards infinity have no end.
  if (!Number.isFinite(high - low)) return [low, high].filter(Number.isFinite);
  if (log) {
    if (!(low > 0)) return [high];
    const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
    const stride = Math.max(1, Math.ceil((last - first + 1) / 4));
    const out: number[] = [];
    for (let power = first; power <= last; power += stride) out.push(10 ** power);
    return out.length > 1 ? out : [low, high];
  }
  if (!(high > low)) return [low];
  const raw = (high - low) / 3;
  const power = 10 ** Math.floor(Math.log10(raw));
  const stride = ([1, 2, 5, 10].find((times) => times * power >= raw) ?? 10) * power;
  const first = Math.ceil(low / stride);
  // Counted, for beyond 2 ** 53 one more is the same number.
  const count = Math.min(5, Math.floor(high / stride + 1e-9) - first + 1);
  return Array.from({ length: Math.max(0, count) }, (_, i) => Number(((first + i) * stride).toPrecision(12)));
}
