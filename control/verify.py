"""Did it help? The forecast of not acting, fixed when deciding, against what then was measured.

Pure. What follows from a verdict is undo.py's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .estimators.median import median
from .estimators.trend import LARGEST_LOG, MAD_TO_SIGMA, Z90, clumping, tame, unlog
from .forecasts import INNER, Forecast
from .proposals import Floats, Window

EARLY_POINTS = 60
# A metric that is silent for so many horizons will not be logged any more.
SILENT_HORIZONS = 3


@dataclass(frozen=True)
class Judgement:
    """A verdict with its figures. `difference`: measured against forecast, a ratio where `log` holds."""

    verdict: str  # better, same, worse, unclear
    sentence: str
    measured: float | None = None
    forecast: float | None = None
    low: float | None = None
    high: float | None = None
    difference: float | None = None
    window: tuple[int, int] | None = None
    metric: str = ""
    log: bool = False
    # How many steps sooner the run came to where not acting would have brought it at the horizon; None: not known.
    saved_steps: int | None = None
    saved_seconds: float | None = None

    @property
    def is_ruin(self) -> bool:
        """Whether the metric is beyond use: no number, or three times what the forecast says."""
        if self.verdict != "worse":
            return False
        return self.measured is None or (self.log and self.difference is not None and self.difference > 2)

    def is_far(self, times: float) -> bool:
        """Whether the measured value lies outside the interval by `times` its half width."""
        if self.measured is None or self.forecast is None or self.low is None or self.high is None:
            return self.verdict in {"better", "worse"}
        to_y = math.log if self.log else float
        off = to_y(self.measured) - to_y(self.forecast)
        bound = to_y(self.high if off > 0 else self.low) - to_y(self.forecast)
        return abs(off) > times * abs(bound)

    def as_json(self) -> dict[str, Any]:
        def short(value: float | None) -> float | None:
            return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")

        return {
            "metric": self.metric,
            "measured": short(self.measured),
            "forecast": short(self.forecast),
            "low": short(self.low),
            "high": short(self.high),
            "difference": short(self.difference),
            "window": None if self.window is None else list(self.window),
            "sentence": self.sentence,
            "saved_steps": self.saved_steps,
            "saved_seconds": short(self.saved_seconds),
        }


def looks_broken(window: Window, fixed: Forecast) -> bool:
    """Whether the points since a change show ruin, so that waiting for the horizon would only cost steps.

    Ruin: the last three points not finite, or the last ten all far (a factor of 3) on the wrong side of the
    whole forecast interval.
    """
    last = window.last(3).values
    if len(last) == 3 and not np.isfinite(last).any():
        return True
    if fixed.broken or not fixed.log or len(fixed.steps) == 0:
        return False
    ten = window.last(10)
    values = ten.values[np.isfinite(ten.values)]
    if len(values) < 10:
        return False
    if fixed.direction == "max":
        return bool(values.max() < float(fixed.low.min()) / 3)
    return bool(values.min() > 3 * float(fixed.high.max()))


def verdict_now(
    fixed: Forecast | None,
    window: Window | None,
    applied_step: int,
    horizon_steps: int,
    expected_effect: float = 0.0,
    run_step: int | None = None,
    windows: Mapping[str, Window] | None = None,
) -> Judgement | None:
    """The judgement once the horizon is reached, earlier if the metric is ruined; None while it is too early.

    windows: of the metrics that must not be harmed; one that became worse makes the whole worse.
    The rest is as in `verdict_on_metric`.
    """
    for guarded in fixed.unharmed if fixed is not None else ():
        found = verdict_on_metric(
            guarded, (windows or {}).get(guarded.metric), applied_step, horizon_steps, 0.0, run_step
        )
        if found is not None and found.verdict == "worse":
            return found
    return verdict_on_metric(fixed, window, applied_step, horizon_steps, expected_effect, run_step)


def verdict_on_metric(
    fixed: Forecast | None,
    window: Window | None,
    applied_step: int,
    horizon_steps: int,
    expected_effect: float = 0.0,
    run_step: int | None = None,
) -> Judgement | None:
    """`verdict_now` for one metric.

    run_step: where the run is by its other metrics. A metric that is not logged while it goes on three horizons
    further is not waited for: an open decision keeps its tunable from every other change.
    """
    last = None if window is None or len(window) == 0 else int(window.steps[-1])
    gone_on = run_step is not None and run_step >= applied_step + SILENT_HORIZONS * horizon_steps
    if gone_on and (last is None or last < applied_step + horizon_steps):
        metric = "its metric" if fixed is None else fixed.metric
        since = "" if last is None else f" since step {last}"
        return Judgement("unclear", f"The run has not logged {metric}{since}.")
    if window is None or last is None:
        return None
    after = window.after(applied_step)
    if fixed is not None and len(after) and looks_broken(after, fixed):
        reached = max(10, int(after.steps[-1]) - applied_step)
        early = judge(fixed, window, applied_step, min(reached, horizon_steps), expected_effect)
        # What was no number before and is none again will not become one by waiting.
        if early.verdict == "worse" or (fixed.broken and early.verdict == "same"):
            return early
    if fixed is not None and not fixed.broken and len(after) >= EARLY_POINTS:
        # Looking often finds more by chance, so an early verdict must be twice as far out.
        reached = min(int(after.steps[-1]) - applied_step, horizon_steps)
        early = judge(fixed, window, applied_step, reached, expected_effect)
        if early.verdict == "worse" and early.is_far(2.0):
            return early
    if last < applied_step + horizon_steps:
        return None
    return judge(fixed, window, applied_step, horizon_steps, expected_effect)


def judge(
    fixed: Forecast | None,
    window: Window,
    applied_step: int,
    horizon_steps: int,
    expected_effect: float = 0.0,
) -> Judgement:
    """Compare what was measured in the later part of the horizon with the forecast of not acting.

    window: the metric's points; those after `applied_step` are judged. Better or worse means: outside the
    90 % interval that joins the forecast's uncertainty and the measurement's. Within it, "same" if an effect
    of `expected_effect` (a ratio, or in the metric's unit where that is not positive) would have shown,
    else "unclear".
    """
    metric = fixed.metric if fixed is not None else ""
    after = window.after(applied_step).until(applied_step + horizon_steps)
    # The first part is the transition (momentum, statistics that settle), not the effect.
    late = after.after(applied_step + int(0.4 * horizon_steps))
    if fixed is None:
        return Judgement("unclear", "There were too few points before the change to forecast from.")
    if len(late) < 5:
        points = "1 point" if len(late) == 1 else f"{len(late)} points"
        return Judgement("unclear", f"Only {points} of {metric} came after the change.", metric=metric)
    span = (int(late.steps[0]), int(late.steps[-1]))
    finite = np.isfinite(late.values)
    if finite.mean() < 0.9:
        lost = int((~finite).sum())
        if fixed.broken and len(fixed.steps) == 0:
            sentence = f"{metric} is still not a number ({lost} of {len(late)} points)."
            return Judgement("same", sentence, window=span, metric=metric)
        sentence = f"{metric} is not a number in {lost} of {len(late)} points after the change."
        return Judgement("worse", sentence, window=span, metric=metric)
    steps, values = late.steps[finite], tame(late.values[finite])
    measured = median(values)
    if len(fixed.steps) == 0:
        sentence = f"{metric} is a number again, {measured:.4g}, where it would have stayed without one."
        return Judgement("better", sentence, measured=measured, window=span, metric=metric)
    found = _compare(fixed, steps, values, measured, span, expected_effect)
    if found.verdict != "better" or fixed.broken:
        return found
    sooner, seconds = saved(fixed, after)
    return replace(found, saved_steps=sooner, saved_seconds=seconds)


def saved(fixed: Forecast, after: Window) -> tuple[int | None, float | None]:
    """How many steps and seconds before the horizon's end the metric came to stay where the forecast has it there.

    Its running median of nine points is what counts. None where it never came there, or not by more than a stride.
    """
    good = np.isfinite(after.values)
    steps, times, values = after.steps[good], after.times[good], after.values[good]
    if len(values) < 9 or len(fixed.steps) == 0:
        return None, None
    level = np.median(np.lib.stride_tricks.sliding_window_view(values, 9), axis=1)
    goal = float(fixed.mean[-1])
    short = level < goal if fixed.direction == "max" else level > goal
    missing = np.flatnonzero(short)
    first = 0 if len(missing) == 0 else int(missing[-1]) + 1
    if first >= len(level):
        return None, None
    sooner = int(steps[-1]) - int(steps[first + 8])
    if sooner <= after.stride:
        return None, None
    return sooner, max(0.0, float(times[-1] - times[first + 8]))


@dataclass(frozen=True)
class Held:
    """How a forecast of not acting did where nothing was done. held80, held90: None where that cannot be said."""

    sentence: str
    held80: bool | None = None
    held90: bool | None = None
    judgement: Judgement | None = None


def held(fixed: Forecast, window: Window, step: int, horizon_steps: int) -> Held:
    """Compare what came with the forecast, by the same measure as verdicts: the later part's median and both errors.

    A metric that is no number any more has left every interval; a forecast without figures says nothing.
    """
    if len(fixed.steps) == 0:
        return Held(f"Nothing was done. {fixed.metric} was no number, so there was nothing to compare.")
    seen = judge(fixed, window, step, horizon_steps)
    if seen.measured is None:
        if seen.verdict == "worse":
            return Held(f"Nothing was done. {seen.sentence} No interval holds that.", False, False, seen)
        return Held(f"Nothing was done. {seen.sentence}", judgement=seen)
    within90, within80 = not seen.is_far(1.0), not seen.is_far(INNER)
    told = (
        "as forecast" if within80 else "at the edge of the forecast" if within90 else "not what was forecast"
    )
    against = (
        f"{seen.measured:.4g} against a forecast of {seen.forecast:.4g} ({seen.low:.4g} to {seen.high:.4g})"
    )
    return Held(f"Nothing was done. {fixed.metric} was {against}: {told}.", within80, within90, seen)


def size_of(difference: float, log: bool) -> str:
    """How far off in words that go before "what …": 34 % below, 6 times, 0.2 above."""
    where = "below" if difference < 0 else "above"
    if not log:
        return f"{abs(difference):.3g} {where}"
    # A hundred per cent and more say less than how many times it is.
    return f"{1 + difference:.3g} times" if difference >= 1 else f"{percent(abs(difference))} {where}"


def percent(share: float) -> str:
    """Two digits; of next to all, never all: 99.8 %."""
    return f"{math.floor(1000 * share) / 10:g} %" if 0.99 < share < 1 else f"{100 * share:.2g} %"


def in_unit(y: float) -> float:
    return float(unlog(np.asarray(y)))


def _compare(
    fixed: Forecast,
    steps: np.ndarray[Any, np.dtype[np.int64]],
    values: Floats,
    measured: float,
    span: tuple[int, int],
    expected_effect: float,
) -> Judgement:
    log = fixed.log and bool(values.min() > 0)
    to_y = np.log if log else np.asarray
    # After a roll back the steps lie before the forecast's: it is the level that is compared then.
    at = np.clip(steps, fixed.steps[0], fixed.steps[-1])
    mean = np.interp(at, fixed.steps, to_y(fixed.mean))
    below = float(np.mean(mean - np.interp(at, fixed.steps, to_y(fixed.low))))
    above = float(np.mean(np.interp(at, fixed.steps, to_y(fixed.high)) - mean))
    residuals = to_y(values) - mean
    difference = median(residuals)
    spread = MAD_TO_SIGMA * median(np.abs(residuals - difference))
    error = Z90 * 1.2533 * spread / math.sqrt(len(values)) * clumping(residuals)
    low, high = -math.hypot(below, error), math.hypot(above, error)
    sign = -1.0 if fixed.direction == "max" else 1.0
    lower, higher = difference < low, difference > high
    good, bad = (higher, lower) if fixed.direction == "max" else (lower, higher)

    centre = float(np.mean(mean))
    ratio = math.expm1(min(difference, LARGEST_LOG)) if log else difference
    back = in_unit if log else float
    forecasted = back(centre)
    far = f"{size_of(ratio, log)} what not acting would have given"
    interval = f"{back(centre + low):.4g} to {back(centre + high):.4g}"
    against = f"{measured:.4g} against a forecast of {forecasted:.4g} ({interval})"
    wanted = math.log1p(max(expected_effect * sign, -0.99)) * sign if log else expected_effect
    if good:
        verdict = "better"
    elif bad:
        verdict = "worse"
    else:
        verdict = "same" if abs(wanted) > max(-low, high) else "unclear"
    tail = {
        "better": far,
        "worse": far,
        "same": "no difference that would matter",
        "unclear": "the difference is within what chance gives",
    }[verdict]
    return Judgement(
        verdict=verdict,
        sentence=f"{fixed.metric} was {against}: {tail}.",
        measured=measured,
        forecast=forecasted,
        low=back(centre + low),
        high=back(centre + high),
        difference=ratio,
        window=span,
        metric=fixed.metric,
        log=log,
    )
