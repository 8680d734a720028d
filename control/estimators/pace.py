"""How a training sets out: has it fallen as one does whose rate is about right, and did its first steps overshoot?

Works on y, as trend.py does: the metric's logarithm (negative where more is better), so that a fall is always good.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from control.proposals import Floats, Ints, Window

from .median import differences, median, medians_of_threes, row_medians
from .trend import robust_sigma, robust_trend

STAGE = 10  # points that a rate is seen for before the next is tried
OPENING = 20  # points before anything is said of a start
FLAT = 150  # points before a start is called flat


@dataclass(frozen=True, eq=False)
class Pace:
    """All in y, one or more points. What a question needs is worked out when it is asked: most runs are asked little.

    gradient, after_step: as `pace` takes them. uprooted: something else tells that the first steps overshot.
    """

    steps: Ints
    y: Floats
    gradient: Window | None = None
    after_step: int = -1
    wandering: float = 0.05  # how far it may go by itself: a mean of past games wanders, for one
    uprooted: bool = False

    @property
    def points(self) -> int:
        return len(self.y)

    @cached_property
    def start(self) -> float:
        return median(self.y[:3])

    @cached_property
    def now(self) -> float:
        return median(self.y[-STAGE:])

    @property
    def fall(self) -> float:
        """Since the first points."""
        return self.start - self.now

    @cached_property
    def recent(self) -> float:
        """The fall of the newest stage against the one before it (a stage is a median of ten points)."""
        return median(self.y[-2 * STAGE : -STAGE]) - self.now

    @cached_property
    def error(self) -> float:
        """The standard deviation of `recent` by chance."""
        scatter = robust_sigma(differences(self.y[-3 * STAGE :])) / math.sqrt(2)
        return 1.2533 * scatter * math.sqrt(2 / STAGE)

    @cached_property
    def above_best(self) -> float:
        """The newest stage over the lowest one at the present rate."""
        since = self.y[self.steps > self.after_step]
        return self.now - lowest_stage(since) if len(since) >= STAGE else 0.0

    @cached_property
    def best_fall(self) -> float:
        """Of the lowest stage since the first points, at whatever rate."""
        return self.start - lowest_stage(self.y)

    @cached_property
    def wild(self) -> bool:
        """Whether the first steps overshot."""
        return self.uprooted or _is_wild(self.y, self.gradient)

    @cached_property
    def flat(self) -> bool:
        """Whether it came little further after its first steps, and scatters no more than it did in the beginning, so
        that it is not the rate's own noise that holds it."""
        return _is_flat(self.steps, self.y)

    @property
    def expected(self) -> float:
        """The fall below which a start counts as slow.

        It grows with the square root of the steps from 30 to 120, as the way of a training does in its beginning, and
        by the square before, while momentum and moments fill up. Its height stands between the falls at a good rate
        and at a tenth of it in small trainings by SGD with momentum and by AdamW.
        """
        part = self.points / 30
        return 0.12 * (part**2 if part < 1 else math.sqrt(min(part, 4.0)))

    @property
    def has_risen(self) -> bool:
        """Whether it is further from the aim than where it began, by more than chance, and never was well on its way.

        What had come far and is thrown back had a good start and met with something else: a bad batch, a spike.
        """
        well = self.best_fall > max(2 * self.wandering, 0.25) + 3 * self.error
        return -self.fall > max(self.wandering, 3 * self.error) and not well

    @property
    def is_slow(self) -> bool:
        return (self.flat or self.fall < self.expected) and self.recent < max(0.08, 2 * self.error)


def to_y(values: Floats, direction: str) -> Floats | None:
    """The values as y; None where they are not positive throughout, and have no logarithm."""
    if len(values) == 0 or not bool(values.min() > 0):
        return None
    return np.log(values) if direction == "min" else -np.log(values)


def pace(window: Window, gradient: Window | None, direction: str, after_step: int = -1) -> Pace | None:
    """The pace of a run whose window reaches back to its first steps; None with too few points, or where it does not.

    gradient: the gradient norm, None where it is not logged. after_step: the last change of the rate; what lies
    before it is not held against the present one.
    """
    if len(window) < OPENING or int(window.steps[0]) > 5 * window.stride:
        return None
    finite = window.finite
    if len(finite) / len(window) < 0.9:
        return None
    y = to_y(finite.values, direction)
    if y is None or len(y) < OPENING:
        return None
    return Pace(finite.steps, y, gradient, after_step, wandering=0.05 if direction == "min" else 0.3)


def lowest_stage(y: Floats) -> float:
    """The lowest median of ten points, of ten points or more."""
    return float(row_medians(y[len(y) % STAGE :].reshape(-1, STAGE)).min())


def _is_flat(steps: Ints, y: Floats) -> bool:
    if len(y) < FLAT:
        return False
    opening = robust_sigma(differences(y[:OPENING])) / math.sqrt(2)
    middle = len(y) // 2
    scatter = robust_sigma(differences(y[middle:])) / math.sqrt(2)
    if not scatter < 1.6 * opening:
        return False
    half = robust_trend(steps[middle:], y[middle:])
    return -half.slope * half.steps < 0.25


def _is_wild(y: Floats, gradient: Window | None) -> bool:
    """Whether one of the first steps doubled the gradient's norm, or threw the loss further than it scatters."""
    opening = y[:OPENING]
    if gradient is not None and len(gradient) >= OPENING:
        norms = gradient.values[:OPENING]
        if not np.isfinite(norms).all() or float(norms[1:].max()) > 2 * float(norms[0]):
            return True
    thrown = medians_of_threes(opening).max() - opening[0]
    return bool(thrown > 0.15 + 3 * robust_sigma(differences(opening)) / math.sqrt(2))
