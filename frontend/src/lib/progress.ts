/** How far a training is and when it will be done, from what is known of it. */
import type { Condition, RunProgress } from "../api/types";
import { duration, integer, number, percent } from "./format";
import { plural, t } from "./i18n";

export interface Progress {
  share: number | null; // 0 to 1; null: nobody knows where it ends
  left: number | null; // seconds
  step: number | null;
  total: number | null;
  rate: number | null; // steps a second
}

export function progressOf(about: { step: number | null; total: number | null; stepSeconds: number | null; moving: boolean }): Progress {
  const { step, total } = about;
  const seconds = about.stepSeconds !== null && about.stepSeconds > 0 ? about.stepSeconds : null;
  return {
    share: total === null || step === null ? null : Math.min(1, Math.max(0, step / total)),
    left: about.moving && total !== null && step !== null && seconds !== null ? Math.max(0, total - step) * seconds : null,
    step,
    total,
    rate: about.moving && seconds !== null ? 1 / seconds : null,
  };
}

/** As a row of a list tells it, with the step that came since. */
export const progressOfRow = (row: RunProgress, step: number | null, moving: boolean): Progress =>
  progressOf({ step: step ?? row.step, total: row.total_steps, stepSeconds: row.step_seconds, moving });

/** The server's word on it, with the step that came since. */
export function progressFrom(condition: Condition, step: number | null): Progress {
  return progressOf({ step: step ?? condition.step, total: condition.total_steps, stepSeconds: condition.step_seconds, moving: condition.eta_seconds !== null || condition.total_steps === null });
}

export const shareWords = ({ share }: Progress): string => (share === null ? "" : percent(Math.floor(share * 1000) / 1000));
export function rateWords({ rate }: Progress): string {
  const n = number(rate, 3);
  return rate === null ? "" : plural(Number(n), "{n} step/s", "{n} steps/s", { n });
}
export const leftWords = ({ left, total, share }: Progress): string =>
  total === null ? t("no end known") : share === 1 ? t("at its end") : left === null ? t("time left unknown") : t("{time} left", { time: duration(left) });
export const stepWords = ({ step, total }: Progress): string => (total === null ? t("step {n}", { n: integer(step) }) : `${integer(step)} / ${integer(total)}`);

const COUNTS_TO = 99_999; // where no end is known: beyond it, room for one digit more than there are
/** The length in characters of the longest that stepWords will say of it, so that a counting step moves nothing. */
export const stepRoom = (of: Progress): number => {
  const step = Math.max(of.step ?? 0, of.total ?? COUNTS_TO);
  return stepWords({ ...of, step: of.total === null && step > COUNTS_TO ? step * 10 : step }).length;
};
