"""What became of a loss that broke: still broken, on its way back, or back, and since which step."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from control.proposals import Floats, Window

from .health import BLOCK, Limits, Trouble, block_medians, find_trouble
from .median import median
from .trend import Trend, clumping, robust_trend, tame

RECENT = 300  # points, for which a loss that has come back is told of
EVERY = 2 * BLOCK  # points between two looks into the past
# Of a trouble that began before the newest points: what is only somewhat above its least is an old story by then.
LONG_AGO = Limits(ratio=3.0, jump_ratio=3.0)
LEAST_FALL = float(np.log(1.1))  # of the level since its peak
WAY_BACK = 0.05  # the same of what has no logarithm, of the way back
LOOKS = (0, BLOCK, 2 * BLOCK)  # points ago: who falls has fallen at each, who wanders seldom has
FAR = 8.0  # of the scatter: no wandering goes so far
NEWEST = 3  # medians, of which one is about the lowest since the peak where it still falls
BACK_RATIO = (
    2.0  # of the healthy level: who is above it is not back, however much the explosion itself scattered
)


class Stage(StrEnum):
    BROKEN = "broken"
    RECOVERING = "recovering"
    RECOVERED = "recovered"


@dataclass(frozen=True)
class Course:
    """since_step: broken since the onset, falling since the peak, or back since it came near its old level."""

    stage: Stage
    trouble: Trouble  # as it began; its level is that of now
    since_step: int
    peak: float | None  # None where the worst was no number


def find_present_trouble(whole: Window, tail: Window, limits: Limits) -> Trouble | None:
    """The trouble that a loss is in now, however long ago it began; the windows are find_course's."""
    return find_trouble(tail, limits) or find_trouble(whole, LONG_AGO)


def find_course(whole: Window, tail: Window, limits: Limits, known: Trouble | None = None) -> Course | None:
    """The course of the newest trouble of a loss; None where it is well and has been for RECENT points.

    tail: the newest points. whole: those, and the ones before, which may be thinned out: what is usual for the run.
    known: this trouble as an earlier look saw it: once its beginning is thinned out, it is seen less exactly.
    """
    trouble = find_present_trouble(whole, tail, limits)
    over = trouble is None
    trouble = trouble or _past_trouble(whole, limits)
    if trouble is None:
        return None
    begun = _as_it_began(whole, trouble, limits)
    if known is not None and known.onset_step <= begun.onset_step:
        begun = known
    trouble = replace(begun, kind=trouble.kind, level=trouble.level, last_step=int(whole.steps[-1]))
    back = _back_since(whole, trouble, limits)
    peak, worst = _peak(whole, trouble)
    if over and back is not None:
        return Course(Stage.RECOVERED, trouble, back, worst)
    looks = (_is_falling(_until(whole, len(whole) - ago), peak, trouble) for ago in LOOKS)
    if next(looks) and (_is_far_below(whole, peak) or all(looks)):
        return Course(Stage.RECOVERING, trouble, int(whole.steps[peak]), worst)
    # What healing keeps from being called trouble, and yet does not fall, is trouble.
    return Course(Stage.BROKEN, trouble, trouble.onset_step, worst)


def _past_trouble(window: Window, limits: Limits) -> Trouble | None:
    """The trouble that was there at the newest of the moments looked at; None where there was none."""
    last = len(window)
    for end in range(last - EVERY, max(last - RECENT, 2 * BLOCK), -EVERY):
        found = find_trouble(_until(window, end), limits)
        if found is not None:
            return found
    return None


def _until(window: Window, end: int) -> Window:
    return Window(window.steps[:end], window.times[:end], window.values[:end])


def _as_it_began(window: Window, trouble: Trouble, limits: Limits) -> Trouble:
    """The same trouble by what was known when it began.

    Each step of an explosion makes a larger one look usual: seen from later, it seems to have begun later.
    """
    while True:
        end = int(np.searchsorted(window.steps, trouble.onset_step)) + 2 * BLOCK
        earlier = find_trouble(_until(window, end), limits) if end < len(window) else None
        if earlier is None or earlier.onset_step >= trouble.onset_step:
            return trouble
        trouble = earlier


def _worst_first(values: Floats) -> Floats:
    """What is no number as something worse than any."""
    return np.where(np.isfinite(values), tame(values), np.inf)


def _peak(window: Window, trouble: Trouble) -> tuple[int, float | None]:
    """(index of the last of the worst points since the onset, its value)."""
    start = int(np.searchsorted(window.steps, trouble.onset_step))
    values = _worst_first(window.values[start:])
    peak = start + len(values) - 1 - int(np.argmax(values[::-1]))
    worst = float(window.values[peak])
    return peak, worst if np.isfinite(worst) else None


def _back_since(window: Window, trouble: Trouble, limits: Limits) -> int | None:
    """The step since which every median of ten points lies near the healthy level; None where the newest does not."""
    threshold = trouble.threshold if trouble.threshold is not None else np.inf
    healthy = trouble.healthy_level
    if healthy is not None and healthy > 0:
        threshold = min(threshold, healthy * BACK_RATIO)
    start = int(np.searchsorted(window.steps, trouble.onset_step))
    medians = block_medians(np.nan_to_num(window.values[start:], nan=np.inf, posinf=np.inf, neginf=np.inf))
    above = np.flatnonzero(~(medians < threshold))
    if not len(medians) or (len(above) and above[-1] == len(medians) - 1):
        return None
    first = int(above[-1]) + 1 if len(above) else 0
    return int(window.steps[len(window) - (len(medians) - first) * BLOCK])


def _is_falling(window: Window, peak: int, trouble: Trouble) -> bool:
    """Whether it falls since its peak, and still does, by more than its noise."""
    steps, values = window.steps[peak + 1 :], window.values[peak + 1 :]
    if len(values) < BLOCK or not bool(np.isfinite(values).all()):
        return False
    values = tame(values)
    worst = tame(_worst_first(window.values[peak : peak + 1]))
    positive = bool(values.min() > 0) and bool(worst[0] > 0)
    y, top = (np.log(values), float(np.log(worst)[0])) if positive else (values, float(worst[0]))
    healthy = trouble.healthy_level if trouble.healthy_level is not None else top
    if top - median(y[-BLOCK:]) < (LEAST_FALL if positive else WAY_BACK * (top - healthy)):
        return False
    medians = block_medians(y)
    if medians[-NEWEST:].min() > medians.min() + LEAST_FALL / 2:
        return False  # it was lower before: it wanders
    halves = (slice(None), slice(min(len(y) // 2, len(y) - BLOCK), None))
    return all(_surely_falls(robust_trend(steps[half], y[half])) for half in halves)


def _is_far_below(window: Window, peak: int) -> bool:
    """Whether it fell since its peak by far more than it scatters: then one look is enough."""
    values = tame(window.values[peak:])
    if not bool(np.isfinite(values).all()):
        return False
    y = np.log(values) if values.min() > 0 else values
    trend = robust_trend(window.steps[peak + 1 :], y[1:])
    return float(y[0]) - median(y[-BLOCK:]) > FAR * trend.noise


def _surely_falls(trend: Trend) -> bool:
    return trend.slope + clumping(trend.residuals) * (trend.slope_high - trend.slope) < 0
