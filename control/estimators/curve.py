"""Where a learning curve is going: an ensemble of parametric families, weighted by evidence, with intervals that are
widened by how wrong the ensemble was about the tail it was not shown.

Each member is y = a + b g(x) with a shape g from a fixed grid (power laws, exponentials and stretched ones,
Michaelis-Menten, logarithm, no movement), so that fitting is two-parameter least squares in closed form, over all
shapes at once. No sampling: some hundred microseconds a curve.
Sources: Domhan, Springenberg and Hutter 2015, IJCAI (the families and their weighting); Klein et al. 2017, ICLR
(an intercept and asymptote with uncertainty); Adriaensen et al. 2023, arXiv 2310.20447 (evaluated at given cut-offs).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from control.proposals import Floats, Ints

from .median import median

BINS = 40
LEAST_POINTS = 10
# Parts of the curve that were once all there was, from which the rest is foretold to see how wrong that is.
HINDSIGHT = (0.35, 0.5, 0.7)
# Of the standardised error that is expected beforehand, and for how many observed ones that counts.
PRIOR_SPREAD, PRIOR_COUNT = 1.9, 2.0
RIDGE = 0.05
# A curve is of none of the families: neighbouring points say less than they would, and none fits to the last digit.
TEMPER, FLOOR = 0.3, 0.01
LEVELS = np.linspace(0.005, 0.995, 100)


@dataclass(frozen=True, eq=False)
class Outlook:
    """What the metric's level will be at `steps`: quantiles at LEVELS, shape (steps, levels), in the metric's unit."""

    steps: Ints
    values: Floats

    def quantile(self, level: float, at: int = 0) -> float:
        return float(np.interp(level, LEVELS, self.values[at]))

    def median(self, at: int = 0) -> float:
        return self.quantile(0.5, at)

    def interval(self, share: float, at: int = 0) -> tuple[float, float]:
        """The middle `share` of what may come: (low, high)."""
        return self.quantile(0.5 - share / 2, at), self.quantile(0.5 + share / 2, at)

    def chance_below(self, value: float, at: int = 0) -> float:
        """The probability that the metric is below `value`, never quite 0 or 1."""
        return float(np.interp(value, self.values[at], LEVELS))


def outlook(steps: Ints, values: Floats, at: Sequence[int], direction: str = "min") -> Outlook | None:
    """The curve carried on to the steps `at`; None with fewer than 10 finite points.

    steps: int64, increasing; values: float64, NaN left out; one shape (points,). at: steps beyond the last one.
    A positive metric that is to fall is looked at by its logarithm; one that is to grow and was within 0..1 stays so.
    """
    good = np.isfinite(values)
    if int(good.sum()) < LEAST_POINTS:
        return None
    kept, y = steps[good].astype(np.float64), values[good]
    if kept[-1] <= kept[0]:
        return None
    log = direction == "min" and bool(y.min() > 0)
    highest = 1.0 if direction == "max" and 0 <= y.min() <= y.max() <= 1 else math.inf
    x, y = binned(kept, np.log(y) if log else y)
    ahead = np.asarray(at, dtype=np.float64)
    middle, spread = median(y), max(float(y.max() - y.min()), 1e-9 * max(1.0, abs(median(y))))
    told = foretell(x, (y - middle) / spread, ahead)
    wide = hindsight(x, (y - middle) / spread)
    shaped = np.stack([mixture(told[0][i], told[1][i], told[2], wide) for i in range(len(ahead))])
    found = middle + spread * shaped
    found = np.minimum(np.exp(np.minimum(found, 700.0)) if log else found, highest)
    return Outlook(np.asarray(at, dtype=np.int64), found)


def binned(steps: Floats, values: Floats) -> tuple[Floats, Floats]:
    """At most 40 (step, mean) pairs over equal ranges of steps: a level, not one batch's loss."""
    if len(values) <= BINS:
        return steps, values
    edges = np.linspace(steps[0], steps[-1], BINS + 1)[1:-1]
    place = np.searchsorted(edges, steps, side="right")
    counts = np.bincount(place, minlength=BINS)
    full = counts > 0
    sums = np.bincount(place, values, minlength=BINS), np.bincount(place, steps, minlength=BINS)
    return sums[1][full] / counts[full], sums[0][full] / counts[full]


@lru_cache(maxsize=1)
def shapes() -> tuple[Floats, Floats, Floats, Floats]:
    """(kind, first, second, log prior) of each shape of the grid."""
    rows: list[tuple[int, float, float]] = []
    rows += [(0, c, d) for c in (0.1, 0.25, 0.5, 1.0, 2.0) for d in (0.0, 0.03, 0.1, 0.3)]
    rows += [(1, k, e) for k in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0) for e in (0.5, 1.0)]
    rows += [(1, k, 2.0) for k in (0.1, 0.5, 2.0)]
    rows += [(2, k, e) for k in (0.05, 0.15, 0.5, 1.5) for e in (1.0, 2.0)]
    rows += [(2, k, 4.0) for k in (0.5, 1.0, 2.0, 4.0)]
    rows += [(3, d, 0.0) for d in (0.0, 0.03, 0.1, 0.3, 1.0)]
    rows += [(4, 0.0, 0.0)]
    table = np.asarray(rows)
    # Each family as a whole is as likely as another; a straight line, which no learning curve is, less so.
    sizes = np.bincount(table[:, 0].astype(int))
    family = np.asarray([1.0, 1.0, 1.0, 1.0, 0.5])
    prior = np.log(family / sizes)[table[:, 0].astype(int)]
    return table[:, 0], table[:, 1], table[:, 2], prior


def features(x: Floats) -> Floats:
    """Every shape at the relative steps x (1: the last one seen), shape (shapes, steps)."""
    kind, first, second, _ = shapes()
    p, q = first[:, None], second[:, None]
    safe = np.maximum(x, 1e-4)[None, :]
    found = np.empty((len(kind), len(x)))
    power, fall, hill, logarithm, line = (kind == number for number in range(5))
    found[power] = (safe + q[power]) ** -p[power]
    found[fall] = np.exp(-p[fall] * safe ** q[fall])
    found[hill] = 1 / (1 + (safe / p[hill]) ** q[hill])
    found[logarithm] = -np.log(safe + p[logarithm])
    found[line] = -safe
    return found


def foretell(x: Floats, y: Floats, ahead: Floats) -> tuple[Floats, Floats, Floats]:
    """(mean, spread, weight) of each shape: arrays (ahead, shapes), (ahead, shapes), (shapes,)."""
    last = x[-1]
    seen, later = features(x / last), features(ahead / last)
    # The newest points say most about what comes; the first steps are another regime.
    weight = 0.1 + (x / last)
    weight = weight / weight.sum()
    centre, middle = seen @ weight, float(y @ weight)
    size = np.sqrt(((seen - centre[:, None]) ** 2) @ weight) + 1e-12
    g, g_later = (seen - centre[:, None]) / size[:, None], (later - centre[:, None]) / size[:, None]
    r = y - middle
    slope = (g * r) @ weight / (1 + RIDGE / len(x))
    left = r[None, :] - slope[:, None] * g
    count = effective(left[int(np.argmin((left**2) @ weight))], len(x))
    noise = ((left**2) @ weight + FLOOR**2) * count / max(count - 2.0, 1.0)
    score = shapes()[3] - 0.5 * (count - 1.0) * np.log(noise)
    chance = np.exp(score - score.max())
    chance /= chance.sum()
    # Where it is now counts for more than where the line says it should be: half of the newest residuals stay.
    newest = left[:, -max(2, len(x) // 10) :].mean(axis=1)
    mean = middle + (slope[:, None] * g_later + newest[:, None]).T
    spread = np.sqrt(noise[:, None] * (2.0 / count + (g_later**2) / count)).T
    return mean, spread, chance


def effective(left: Floats, count: int) -> float:
    """How many independent points the residuals are worth: neighbours that are alike say the same thing twice."""
    square = float(left @ left)
    if count < 4 or square <= 1e-18:
        return float(count)
    alike = min(0.9, max(0.0, float(left[1:] @ left[:-1]) / square))
    return max(4.0, TEMPER * count * (1 - alike) / (1 + alike))


def hindsight(x: Floats, y: Floats) -> float:
    """By what the spread must grow, going by how wrong forecasts from earlier parts of this curve were."""
    errors: list[float] = []
    for part in HINDSIGHT:
        known = int(np.searchsorted(x, x[0] + part * (x[-1] - x[0]), side="right"))
        # As far ahead, in proportion, as twice the steps; the curve's end where that is nearer.
        target = min(2.0 * x[known - 1], x[-1])
        if known < 6 or target <= x[known - 1]:
            continue
        low = int(np.searchsorted(x, 0.9 * target))
        high = max(low + 1, int(np.searchsorted(x, target, side="right")))
        mean, spread, chance = foretell(x[:known], y[:known], np.asarray([target]))
        centre = float(mean[0] @ chance)
        scale = math.sqrt(float((spread[0] ** 2 + (mean[0] - centre) ** 2) @ chance)) + 1e-6
        errors.append(abs(float(y[low:high].mean()) - centre) / scale)
    square = PRIOR_COUNT * PRIOR_SPREAD**2 + sum(error**2 for error in errors)
    return math.sqrt(square / (PRIOR_COUNT + len(errors)))


def mixture(mean: Floats, spread: Floats, chance: Floats, wide: float) -> Floats:
    """Quantiles at LEVELS of the weighted shapes, drawn apart from their median by `wide`."""
    kept = chance > 1e-4
    mean, spread, chance = mean[kept], spread[kept], chance[kept]
    points = (mean[:, None] + spread[:, None] * normal_quantiles()[None, :]).ravel()
    weights = np.repeat(chance, len(normal_quantiles()))
    order = np.argsort(points)
    ranks = np.cumsum(weights[order])
    ranks = (ranks - 0.5 * weights[order]) / ranks[-1]
    found: Floats = np.interp(LEVELS, ranks, points[order])
    centre = float(np.interp(0.5, LEVELS, found))
    return centre + wide * (found - centre)


@lru_cache(maxsize=1)
def normal_quantiles() -> Floats:
    """The normal distribution's quantiles at 21 equally likely places, by Acklam's inverse of the error function."""
    from statistics import NormalDist

    return np.asarray([NormalDist().inv_cdf((i + 0.5) / 21) for i in range(21)])
