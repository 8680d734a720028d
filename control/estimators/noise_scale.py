"""From noisy gradient measurements to a batch size, and what a batch of another size is worth.

Source: McCandlish et al. 2018, arXiv 1812.06162; the gain of a larger batch: Johnson et al. 2020, arXiv 2007.05105.
"""

import math
from dataclasses import dataclass

import numpy as np

from control.proposals import Floats

from .trend import Z90


@dataclass(frozen=True)
class NoiseScale:
    """Batch size in samples at which gradient noise equals signal, with its 90 % interval; high may be infinite."""

    value: float
    low: float
    high: float
    measurements: int


def noise_scale(square: Floats, variance: Floats, least: int = 20) -> NoiseScale | None:
    """The ratio of the means, with Fieller's interval; None with fewer than `least` finite measurements.

    square, variance: unbiased single estimates of the true gradient's squared length and of the sum of one sample's
    variances, shape (measurements,), pairs measured together. Means first: a mean of ratios has none.
    Source: Fieller 1954, J. R. Stat. Soc. B 16(2), pp. 175-185 (interval of a ratio of means).
    """
    good = np.isfinite(square) & np.isfinite(variance)
    count = int(good.sum())
    if count < least:
        return None
    s, v = square[good], variance[good]
    s_mean, v_mean = float(s.mean()), float(v.mean())
    (s_var, covariance), (_, v_var) = (np.cov(s, v) / count).tolist()
    z = Z90 * Z90
    # All ratios r for which the mean of v - r s may be zero: a r^2 - 2 b r + c <= 0.
    a = s_mean**2 - z * s_var
    b = s_mean * v_mean - z * covariance
    c = v_mean**2 - z * v_var
    if v_mean <= 0:
        return NoiseScale(0.0, 0.0, upper_root(a, b, c), count)
    if s_mean <= 0:
        return NoiseScale(math.inf, lower_root(a, b, c), math.inf, count)
    return NoiseScale(v_mean / s_mean, lower_root(a, b, c), upper_root(a, b, c), count)


def lower_root(a: float, b: float, c: float) -> float:
    """The least ratio from 0 on that satisfies the inequality."""
    if c <= 0:
        return 0.0
    return min((root for root in roots(a, b, c) if root > 0), default=0.0)


def upper_root(a: float, b: float, c: float) -> float:
    """The greatest; infinite where the true gradient cannot be told from none."""
    if a <= 0:
        return math.inf
    return max(0.0, *roots(a, b, c))


def roots(a: float, b: float, c: float) -> list[float]:
    inside = b * b - a * c
    if inside < 0 or a == 0:
        return [c / (2 * b)] if a == 0 and b != 0 else [0.0]
    # Without the cancellation of the schoolbook's formula.
    far = b + math.copysign(math.sqrt(inside), b)
    return [far / a, c / far] if far != 0 else [0.0]


def gain(noise: float, batch: float, new_batch: float) -> float:
    """How many steps at `batch` one step at `new_batch` is worth, at the rate that AdaScale gives it.

    Between 1 (no noise) and new_batch / batch (all noise) for a larger batch.
    """
    if math.isinf(noise):
        return new_batch / batch
    return (noise / batch + 1) / (noise / new_batch + 1)


def rate_factor(family: str, noise: float, batch: float, new_batch: float) -> float:
    """What to multiply the learning rate by when the batch changes.

    "sgd": AdaScale's gain. Else the square root of the ratio: for optimisers that divide by the gradient's own scale
    it is the rule (Malladi et al. 2022, arXiv 2205.10287), for unknown ones the careful choice.
    """
    return gain(noise, batch, new_batch) if family == "sgd" else math.sqrt(new_batch / batch)
