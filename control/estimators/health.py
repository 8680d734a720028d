"""Is a loss broken? Judged against the run's own past, by medians: no fixed threshold fits two losses."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np

from control.proposals import Floats, Ints, Window

from .median import differences, median, medians_of_threes, row_medians
from .trend import WILDEST, robust_sigma, robust_trend, tame, unlog

BLOCK = 10  # points; a level is the median of a block
JUMP_BLOCKS = 10
FAR_BELOW = float(np.log(0.9))
RUIN_POINTS = 60  # a start that shot up is given so long to come below where it began


class Kind(StrEnum):
    NON_FINITE = "non-finite"
    EXPLOSION = "explosion"
    COLLAPSE = "collapse"  # of what is to grow
    JUMP = "jump"  # less than an explosion, but at once and for long
    SPIKE = "spike"  # thrown up at once and on its way down, but slowly (spike.py)
    RUINED_START = "ruined start"  # never got below where it started, after having shot far above it


@dataclass(frozen=True)
class Trouble:
    """`level` is None where there is no finite value left; levels are in the metric's own unit."""

    kind: Kind
    onset_step: int  # the first step of the trouble
    last_step: int
    healthy_level: float | None
    level: float | None
    threshold: float | None  # the level above which the loss counts as exploded

    @property
    def ratio(self) -> float | None:
        if self.level is None or not self.healthy_level:
            return None
        return self.level / self.healthy_level


@dataclass(frozen=True)
class Limits:
    """What counts as trouble: `ratio` times the healthy level and `spreads` block-to-block sigmas above."""

    ratio: float = 1.5
    spreads: float = 6.0
    non_finite_points: int = 3  # in a row and last: fewer may be one bad batch
    jump_ratio: float = 1.15  # for a jump, from one block to the next, that has stayed for JUMP_BLOCKS
    heal_points: int = 100  # a fall that leads back under the threshold within so many points is healing


# kind, index of the onset, healthy level, threshold
Found: TypeAlias = tuple[Kind, int, float, float]


def find_trouble(window: Window, limits: Limits, after_step: int | None = None) -> Trouble | None:
    """The trouble a loss is in now, or None: healthy, healing, or too little seen to say.

    after_step: only trouble that is seen in the points above it counts (what came before was dealt with);
    points up to it still serve as the healthy past.
    """
    fresh = window if after_step is None else window.after(after_step)
    if len(fresh) == 0:
        return None
    explosion = _find_explosion(window.finite.steps, tame(window.finite.values), limits, fresh, window)
    onset = _non_finite_onset(fresh, limits)
    if onset is None:
        return explosion
    before = window.until(onset - 1)
    healthy = tame(before.finite.values)
    # A loss mostly explodes on its way to NaN: the weights were bad from there on.
    if explosion is not None and explosion.onset_step < onset:
        onset = explosion.onset_step
    level = _lowest_level(healthy) if len(healthy) else None
    return Trouble(Kind.NON_FINITE, onset, int(window.steps[-1]), level, None, None)


def _non_finite_onset(window: Window, limits: Limits) -> int | None:
    if window.finite is window:
        return None
    bad = ~np.isfinite(window.values)
    recent = bad[-2 * BLOCK :]
    trailing = len(bad) if bad.all() else int(np.argmax(~bad[::-1]))
    if trailing >= limits.non_finite_points:
        return int(window.steps[len(bad) - trailing])
    if len(recent) == 2 * BLOCK and recent.mean() >= 0.5:
        return int(window.steps[len(bad) - len(recent) + int(np.argmax(recent))])
    return None


def _lowest_level(values: Floats) -> float:
    """The lowest median of three neighbouring blocks, or of all points where there are fewer."""
    medians = block_medians(values)
    if len(medians) < 3:
        return median(values)
    return _lowest_of_threes(medians)


def _lowest_of_threes(medians: Floats) -> float:
    return float(medians_of_threes(medians).min())


def block_medians(values: Floats) -> Floats:
    whole = len(values) // BLOCK * BLOCK
    return row_medians(values[len(values) - whole :].reshape(-1, BLOCK)) if whole else np.empty(0)


def _find_explosion(
    steps: Ints, values: Floats, limits: Limits, fresh: Window, window: Window
) -> Trouble | None:
    # Two fresh blocks at least: one block may be one bad batch and its echo in the momentum.
    if len(fresh.finite) < 2 * BLOCK or len(values) < 2 * BLOCK:
        return None
    positive = bool(values.min() > 0)
    y = np.log(values) if positive else values
    medians = block_medians(y)
    found: Found | None = None
    if positive and int(window.steps[0]) <= 5 * window.stride:
        found = _find_ruined_start(y, medians)
    if found is None and len(medians) >= 5:
        found = _find_rise(y, medians, positive, limits)
    if found is None:
        return None
    # Who has not healed in so many points is given no more: a fall that slows down is foretold to heal soon for ever.
    if found[0] is not Kind.JUMP and _is_healing(steps, y, found[1], found[3], limits, fresh):
        return None

    def unit(level: float) -> float:
        return float(unlog(np.asarray(level))) if positive else level

    kind, index, healthy, threshold = found
    now = median(y[-2 * BLOCK :])
    return Trouble(kind, int(steps[index]), int(window.steps[-1]), unit(healthy), unit(now), unit(threshold))


def _find_ruined_start(y: Floats, medians: Floats) -> Found | None:
    """Of logarithms from the run's first steps on."""
    # The lowest of three: with far too high a rate, the second step is in trouble already.
    start = float(y[:3].min())
    below = start + FAR_BELOW
    # Nearly every run is below its start by now, which asks for nothing else to be known.
    if not float(medians[-2:].min()) > below:
        return None
    scatter = robust_sigma(differences(y[-RUIN_POINTS:])) / math.sqrt(2)
    # The lowest of three lies below where the run began, the further the more it scatters.
    if not float(medians[-2:].min()) > below + 1.5 * scatter:
        return None
    # One that came well below its start is no ruined start, however high it went then: it has a healthy level.
    if len(medians) >= 3 and _lowest_of_threes(medians) < below - 1.5 * scatter:
        return None
    # Two of three points, so that one bad batch is not taken for it, and further than the noise goes.
    high = start + float(np.log(1.15)) + 3 * scatter
    shot = np.flatnonzero(medians_of_threes(y) > high)
    # One that stayed above its start for every block, by more than chance, is given half as long.
    never = float(medians.min()) > start + (0.02 + 2 * scatter / math.sqrt(BLOCK))
    patience = RUIN_POINTS // 2 if never else RUIN_POINTS
    if not len(shot) or len(y) - shot[0] < patience:
        return None
    first = int(shot[0]) + int(np.argmax(y[shot[0] :] > high))
    return Kind.RUINED_START, first, start, below


def _find_rise(y: Floats, medians: Floats, positive: bool, limits: Limits) -> Found | None:
    """An explosion or a jump: the newest blocks lie above the lowest level by more than blocks differ."""
    healthy = _lowest_of_threes(medians)
    least = float(np.log(limits.ratio)) if positive else 0.0
    # Nearly every run's newest block is near its lowest level, which asks for nothing else to be known.
    if float(medians[-1]) <= healthy + (min(least, float(np.log(limits.jump_ratio))) if positive else 0.0):
        return None
    spread = robust_sigma(differences(medians)) / math.sqrt(2)
    margin = limits.spreads * spread
    margin = max(margin, least) if positive else max(margin, limits.spreads * robust_sigma(y), 1e-12)
    over = medians > healthy + margin
    # Where the loss has not even doubled, twice as long: late in a training it may wander so far.
    doubled = positive and bool((medians[-2:] > healthy + np.log(2)).all())
    if bool(over[-2 if doubled or not positive else -4 :].all()):
        below = np.flatnonzero(~over)
        first = int(below[-1]) + 1 if len(below) else 0
        return Kind.EXPLOSION, len(y) - (len(medians) - first) * BLOCK, healthy, healthy + margin
    if positive and (jump := _find_jump(medians, healthy, limits)) is not None:
        return Kind.JUMP, len(y) - (len(medians) - jump[0]) * BLOCK, healthy, jump[1]
    return None


def _find_jump(medians: Floats, healthy: float, limits: Limits) -> tuple[int, float] | None:
    """(block of the onset, threshold) of a level that went up at once and has stayed there; None for a slow rise."""
    if len(medians) < JUMP_BLOCKS + 5:
        return None
    spread = robust_sigma(differences(medians[:-JUMP_BLOCKS])) / math.sqrt(2)
    # Half as far as where two blocks must do: ten in a row are no chance.
    margin = max(0.5 * limits.spreads * spread, float(np.log(limits.jump_ratio)))
    over = medians > healthy + margin
    if not bool(over[-JUMP_BLOCKS:].all()):
        return None
    below = np.flatnonzero(~over)
    first = int(below[-1]) + 1 if len(below) else 0
    if first < 2:
        return None
    risen = median(medians[first : first + 2]) - median(medians[first - 2 : first])
    return (first, healthy + margin) if risen > 0.7 * margin else None


def find_collapse(window: Window, spreads: float, after_step: int | None = None) -> Trouble | None:
    """The same of a figure that is to grow, where it fell to a third of its best and stays there.

    A third, because an agent's reward wanders further than a loss. Only a positive figure has such a ratio. A reward is
    mostly a mean of past games and tells late: the trouble began where it was last near its best.
    """
    finite = window.finite
    if not len(finite) or not bool(finite.values.min() > 0):
        return None
    inverse = Window(window.steps, window.times, 1 / np.maximum(window.values, 1 / WILDEST))
    found = find_trouble(inverse, Limits(ratio=3.0, spreads=spreads), after_step)
    if found is None or found.kind is not Kind.EXPLOSION or not found.healthy_level or not found.level:
        return None
    steps, y = finite.steps, np.log(1 / np.maximum(finite.values, 1 / WILDEST))
    medians = block_medians(y)
    near = np.flatnonzero(medians <= np.log(found.healthy_level) + np.log(1.25))
    first = len(y) - (len(medians) - 1 - int(near[-1])) * BLOCK if len(near) else 0
    onset = min(found.onset_step, int(steps[first]))
    return Trouble(Kind.COLLAPSE, onset, found.last_step, 1 / found.healthy_level, 1 / found.level, None)


def _is_healing(steps: Ints, y: Floats, onset: int, threshold: float, limits: Limits, fresh: Window) -> bool:
    """Whether the loss falls from its peak fast enough to be well again soon."""
    start = max(onset, int(np.searchsorted(steps, fresh.steps[0])))
    peak = start + int(np.argmax(y[start:]))
    # The later half tells where it is going; the first fall from a peak is always steep.
    since = slice(max(peak, (peak + len(y)) // 2 - BLOCK), None)
    if len(y) - peak < BLOCK:
        since = slice(-2 * BLOCK, None)  # the peak is now: is it still on its way up?
    trend = robust_trend(steps[since], y[since])
    stride = max(1.0, trend.steps / max(1, trend.points - 1))
    return trend.is_falling and trend.level + trend.slope * stride * limits.heal_points < threshold
