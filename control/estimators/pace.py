"""How a training sets out: has it fallen as one does whose rate is about right, and did its first steps overshoot?

Works on y, as trend.py does: the metric's logarithm (negative where more is better), so that a fall is always good.
"""

import math
from dataclasses import dataclass

import numpy as np

from control.proposals import Floats, Ints, Window

from .median import median, row_medians
from .trend import robust_sigma, robust_trend

STAGE = 10  # points that a rate is seen for before the next is tried
OPENING = 20  # points before anything is said of a start
FLAT = 150  # points before a start is called flat


@dataclass(frozen=True)
class Pace:
    """All in y. fall, recent: since the first points, and of the newest stage against the one before it.

    error: standard deviation of `recent` by chance. wild: the first steps overshot. above_best: the newest stage over
    the lowest one at the present rate (a stage is a median of ten points). flat: after its first steps it came little
    further, and scatters no more than it did in the beginning, so that it is not the rate's own noise that holds it.
    """

    points: int
    fall: float
    recent: float
    error: float
    above_best: float
    wild: bool
    flat: bool
    wandering: float = 0.05  # how far it may go by itself: a mean of past games wanders, for one
    best_fall: float = 0.0  # of the lowest stage since the first points, at whatever rate

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
    good = np.isfinite(window.values)
    if good.mean() < 0.9:
        return None
    y = to_y(window.values[good], direction)
    if y is None:
        return None
    steps = window.steps[good]
    if len(y) < OPENING:
        return None
    start = median(y[:3])
    now = median(y[-STAGE:])
    scatter = robust_sigma(np.diff(y[-3 * STAGE :])) / math.sqrt(2)
    since = y[steps > after_step]
    blocks = since[len(since) % STAGE :].reshape(-1, STAGE)
    return Pace(
        points=len(y),
        fall=start - now,
        recent=median(y[-2 * STAGE : -STAGE]) - now,
        error=1.2533 * scatter * math.sqrt(2 / STAGE),
        above_best=now - float(row_medians(blocks).min()) if len(blocks) else 0.0,
        wild=_is_wild(y, gradient),
        flat=_is_flat(steps, y),
        wandering=0.05 if direction == "min" else 0.3,
        best_fall=start - float(row_medians(y[len(y) % STAGE :].reshape(-1, STAGE)).min()),
    )


def _is_flat(steps: Ints, y: Floats) -> bool:
    if len(y) < FLAT:
        return False
    opening = robust_sigma(np.diff(y[:OPENING])) / math.sqrt(2)
    middle = len(y) // 2
    scatter = robust_sigma(np.diff(y[middle:])) / math.sqrt(2)
    half = robust_trend(steps[middle:], y[middle:])
    return scatter < 1.6 * opening and -half.slope * half.steps < 0.25


def _is_wild(y: Floats, gradient: Window | None) -> bool:
    """Whether one of the first steps doubled the gradient's norm, or threw the loss further than it scatters."""
    opening = y[:OPENING]
    if gradient is not None and len(gradient) >= OPENING:
        norms = gradient.values[:OPENING]
        if not np.isfinite(norms).all() or float(norms[1:].max()) > 2 * float(norms[0]):
            return True
    thrown = row_medians(np.stack((opening[:-2], opening[1:-1], opening[2:]), axis=1)).max() - opening[0]
    return bool(thrown > 0.15 + 3 * robust_sigma(np.diff(opening)) / math.sqrt(2))
