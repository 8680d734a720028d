"""Robust straight-line trends of a noisy metric, and how far they may be extended.

Everything here works on y: the metric's logarithm where all of it is positive (losses fall by
ratios, not by amounts), else the metric itself.
"""

import math
from dataclasses import dataclass, field
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from control.proposals import Floats, Ints

from .median import median, median_of_ordered, row_medians

Z90 = 1.645  # two-sided 90 % of a normal distribution
MAD_TO_SIGMA = 1.4826
BINS = 48
# Beyond it squares and differences of squares are no numbers any more; so wild a metric is as wild at this.
WILDEST = 1e100
# And logarithms beyond it have no exponential.
LARGEST_LOG = 700.0


@dataclass(frozen=True)
class Trend:
    """A line through a window: slope per step with its 90 % interval, level at the last step."""

    slope: float
    slope_low: float
    slope_high: float
    level: float
    bend: float  # how far the newest quarter lies above the line: positive where a fall slows down
    level_error: float  # half width of the level's 90 % interval, the slope's part left out
    noise: float  # robust standard deviation of single points about the line
    points: int
    first_step: int
    last_step: int
    # What the line leaves over, in order: points, or the medians that stand for them.
    residuals: Floats = field(default_factory=lambda: np.empty(0), repr=False, compare=False)

    @property
    def steps(self) -> int:
        return self.last_step - self.first_step

    @property
    def is_falling(self) -> bool:
        return self.slope_high < 0

    @property
    def is_rising(self) -> bool:
        return self.slope_low > 0


@dataclass(frozen=True, eq=False)
class Extension:
    """A trend carried on: float64 arrays of one shape, 90 % interval low..high around mean, all in y."""

    steps: Ints
    mean: Floats
    low: Floats
    high: Floats


def tame(values: Floats) -> Floats:
    """The values, those that nothing can be reckoned with drawn in to a bound that can be."""
    # As np.clip, without its overhead, which is several times its work on a window's points.
    return np.minimum(np.maximum(values, -WILDEST), WILDEST)


def unlog(y: Floats) -> Floats:
    """The exponential, a finite number above zero for any y."""
    return np.asarray(np.exp(np.clip(y, -LARGEST_LOG, LARGEST_LOG)), dtype=np.float64)


def robust_sigma(values: Floats) -> float:
    """Standard deviation from the median absolute deviation: half of the points may be wild. 0 for none."""
    if len(values) == 0:
        return 0.0
    values = tame(values)
    return float(MAD_TO_SIGMA * median(np.abs(values - median(values))))


def binned_medians(steps: Ints, values: Floats, bins: int = BINS) -> tuple[Floats, Floats]:
    """At most `bins` (mean step, median value) pairs over equal numbers of points, in order."""
    count = len(values)
    if count <= bins:
        return steps.astype(np.float64), values
    size = -(-count // bins)
    whole = count // size * size
    # The oldest points that do not fill a bin are left out: the newest matter most.
    offset = count - whole
    step_rows = steps[offset:].reshape(-1, size)
    value_rows = values[offset:].reshape(-1, size)
    return step_rows.mean(axis=1), row_medians(value_rows)


@cache
def _pairs(count: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """All pairs of `count` points; at most BINS different tables are ever asked for."""
    return np.triu_indices(count, k=1)


def robust_trend(steps: Ints, values: Floats) -> Trend:
    """The line through the points: median of all pairwise slopes, and an interval from their order.

    steps: int64, values: float64 and finite, one shape (points,), points >= 3, steps increasing.
    Long windows are reduced to 48 medians first, so that the cost does not grow with the window.
    Source: Theil 1950; Sen 1968, J. Am. Stat. Assoc. 63, pp. 1379-1389 (interval by Kendall's tau).
    Raises ValueError with fewer than 3 points.
    """
    if len(values) < 3:
        raise ValueError(f"a trend needs 3 points or more, got {len(values)}")
    values = tame(values)
    bin_steps, bin_values = binned_medians(steps, values)
    count = len(bin_values)
    first, second = _pairs(count)
    slopes = (bin_values.take(second) - bin_values.take(first)) / (
        bin_steps.take(second) - bin_steps.take(first)
    )
    slopes.sort()
    slope = median_of_ordered(slopes)
    spread = Z90 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = min(max(math.floor((len(slopes) - spread) / 2), 0), len(slopes) - 1)
    high = min(max(math.ceil((len(slopes) + spread) / 2), 0), len(slopes) - 1)
    middle = median(bin_values - slope * bin_steps)
    residuals = bin_values - middle - slope * bin_steps
    # 1.2533: a median is that much less sure than a mean, for normal noise.
    level_error = Z90 * 1.2533 * robust_sigma(residuals) / math.sqrt(count)
    return Trend(
        slope=slope,
        slope_low=float(slopes[low]),
        slope_high=float(slopes[high]),
        level=middle + slope * float(steps[-1]),
        bend=median(residuals[-max(1, count // 4) :]),
        level_error=float(level_error),
        noise=robust_sigma(values - middle - slope * steps),
        points=len(values),
        first_step=int(steps[0]),
        last_step=int(steps[-1]),
        residuals=residuals,
    )


def clumping(residuals: Floats) -> float:
    """How many times further a mean or a line may be off than with noise that is independent from point to point.

    sqrt((1 + r) / (1 - r)) with the correlation r of neighbours: running means, rewards and losses over an epoch
    wander. 1 where r may be chance (below 1.645 / sqrt(points)). A bend of the whole is taken out first, for that
    is no noise.
    Source: Priestley 1981, Spectral Analysis and Time Series, 5.3.2 (variance of the mean of an AR(1) process).
    """
    count = len(residuals)
    if count < 12:
        return 1.0
    bends = _bends(count)
    left = residuals - bends @ (bends.T @ residuals)
    # A single wild point must neither make neighbours look alike nor hide that they are.
    sigma = robust_sigma(left)
    if sigma <= 1e-9 * float(np.abs(residuals).max()):
        return 1.0  # no noise, only rounding
    left = np.clip(left, -3 * sigma, 3 * sigma)
    power = float(left @ left)
    if power == 0:
        return 1.0  # noise so small that its square is none
    alike = float(left[1:] @ left[:-1]) / power
    if alike < Z90 / np.sqrt(count):
        return 1.0
    # Short series, and those whose bend was taken out, look less alike than they are.
    alike = min(0.97, alike + (1 + 4 * alike) / count)
    return float(np.sqrt((1 + alike) / (1 - alike)))


@lru_cache(maxsize=256)
def _bends(count: int) -> Floats:
    """Orthonormal level, slope and bend over `count` points, shape (count, 3)."""
    along = np.linspace(-1, 1, count)
    return np.asarray(np.linalg.qr(np.stack((np.ones(count), along, along**2), axis=1))[0], dtype=np.float64)


def extend(trend: Trend, until_step: int, points: int = 9) -> Extension:
    """Where the trend leads from its last step to `until_step`, if nothing is changed.

    Learning curves bend: a fall slows down, nobody knows when. So the mean is a damped trend, whose slope
    fades over half the window's length; the interval runs from the straight line on the one side to no
    further movement at all on the other, each with the slope's and the level's uncertainty.
    Source: Gardner and McKenzie 1985, Management Science 31(10), pp. 1237-1246 (damped trend).
    """
    until_step = max(until_step, trend.last_step + 1)
    steps = np.unique(np.linspace(trend.last_step, until_step, points).round().astype(np.int64))
    ahead = (steps - trend.last_step).astype(np.float64)
    length = max(1.0, 0.5 * trend.steps)
    damped = length * -np.expm1(-ahead / length)
    # The slope's uncertainty also moves the level at the window's end, half a window from its centre.
    swing = 0.25 * trend.steps * 0.5 * (trend.slope_high - trend.slope_low)
    wander = clumping(trend.residuals)
    error = wander * (trend.level_error + swing)
    steepest_fall = trend.slope + wander * (trend.slope_low - trend.slope)
    steepest_rise = trend.slope + wander * (trend.slope_high - trend.slope)
    top, bottom = max(trend.bend, 0.0), min(trend.bend, 0.0)
    return Extension(
        steps=steps,
        mean=trend.level + 0.5 * trend.bend + trend.slope * damped,
        low=trend.level + bottom - error + np.minimum(steepest_fall * ahead, 0.0),
        high=trend.level + top + error + np.maximum(steepest_rise * ahead, 0.0),
    )
