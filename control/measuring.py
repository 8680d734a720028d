"""What an attempt was measured at, out of the store: the pace of a job on the devices that it had."""

import math
from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np

from monitoring.storage import series
from training.models import Attempt

STRETCHES = 16  # a step's time is the median over so many parts of an attempt
LEAST_STRETCHES = 3
KEYS = ["_step_seconds", "_samples_per_second"]


class Stretch(NamedTuple):
    """A step's seconds and the samples in it, on all devices together."""

    seconds: float
    batch: float

    @property
    def rate(self) -> float:
        return self.batch / self.seconds


def stretch(source: str, attempt: Attempt, last_seconds: float | None = None) -> Stretch | None:
    """The median step over an attempt, or over its last seconds; None where it was too short to say."""
    assert attempt.started_at is not None
    start = attempt.started_at.timestamp()
    end = attempt.ended_at.timestamp() if attempt.ended_at else None
    if last_seconds is not None and end is not None:
        start = max(start, end - last_seconds)
    means: dict[str, list[float]] = defaultdict(list)
    for part in series.read(source, KEYS, width=STRETCHES, x="time", start=start, end=end):
        means[part.key] += [float(v) for v in part.columns["mean"] if math.isfinite(v) and v > 0]
    if min(len(means[key]) for key in KEYS) < LEAST_STRETCHES:
        return None
    seconds, rate = (float(np.median(means[key])) for key in KEYS)
    return Stretch(seconds, round(rate * seconds))


def worth(noise: Any, base: float, batch: float) -> float:
    """What a sample of a step of `batch` counts beside one of a step of `base`: goodput's statistical efficiency."""
    if batch == base:
        return 1.0
    if not isinstance(noise, int | float) or not math.isfinite(noise):
        return min(1.0, base / batch)
    return float((noise + base) / (noise + batch))
