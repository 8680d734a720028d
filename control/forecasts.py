"""What a metric would do if nothing were changed: fixed when deciding, from the points since the last change.

Pure. Metrics that are positive throughout are forecast in their logarithm, so a difference is a ratio.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .estimators.median import median
from .estimators.trend import Z90, extend, robust_sigma, robust_trend, tame, unlog
from .proposals import Floats, Window

# The trend is read from so many points, and nothing is said from fewer than LEAST_POINTS.
FORECAST_POINTS = 150
LEAST_POINTS = 20
# How far the 80 % interval reaches of the 90 % one: as far as with normal noise. On small trainings it held in
# 78 % of 1,120 forecasts (docs/learning.md says how that is watched).
INNER = 1.2816 / Z90


@dataclass(frozen=True, eq=False)
class Forecast:
    """What the metric would do without the change: float64 arrays of one shape, in the metric's unit.

    Empty arrays with `broken`: it is not a number and would stay so. `log`: positive, compared by ratio.
    """

    metric: str
    direction: str  # min, max
    steps: np.ndarray[Any, np.dtype[np.int64]]
    mean: Floats
    low: Floats
    high: Floats
    log: bool
    broken: bool = False
    unharmed: tuple[Forecast, ...] = ()  # of metrics that must not become worse

    def as_json(self) -> dict[str, Any]:
        kept: dict[str, Any] = {
            "metric": self.metric,
            "direction": self.direction,
            "steps": [int(step) for step in self.steps],
            "mean": [float(f"{value:.6g}") for value in self.mean],
            "low": [float(f"{value:.6g}") for value in self.low],
            "high": [float(f"{value:.6g}") for value in self.high],
            "log": self.log,
            "broken": self.broken,
        }
        # Drawn in from the figures that are kept, so that who reads them back gets the same.
        inner = Forecast.from_json(kept).inner()
        kept |= {name: [float(f"{value:.6g}") for value in side] for name, side in inner.items()}
        return kept | ({"unharmed": [each.as_json() for each in self.unharmed]} if self.unharmed else {})

    def inner(self) -> dict[str, Floats]:
        """The 80 % interval as {"low80", "high80"}: the 90 % one drawn in towards the mean; {} where there is none."""
        if len(self.steps) == 0:
            return {}
        to_y, back = (np.log, unlog) if self.log else (np.asarray, np.asarray)
        mean = to_y(self.mean)
        return {
            "low80": back(mean + INNER * (to_y(self.low) - mean)),
            "high80": back(mean + INNER * (to_y(self.high) - mean)),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Forecast:
        return cls(
            metric=data["metric"],
            direction=data["direction"],
            steps=np.asarray(data["steps"], dtype=np.int64),
            mean=np.asarray(data["mean"], dtype=np.float64),
            low=np.asarray(data["low"], dtype=np.float64),
            high=np.asarray(data["high"], dtype=np.float64),
            log=bool(data["log"]),
            broken=bool(data["broken"]),
            unharmed=tuple(cls.from_json(each) for each in data.get("unharmed", ())),
        )


def forecast(
    metric: str, window: Window, horizon_steps: int, direction: str = "min", broken: bool = False
) -> Forecast | None:
    """Where `metric` would go within `horizon_steps` if nothing were changed; None with too few points.

    window: the points since the last change, newest last. broken: the metric is in ruins, so it is held
    at its present level (an explosion is not carried on, which would make any rescue look good), or, when
    its last value is not a number, said to stay so.
    """
    # A far horizon wants a long look back: at least as long.
    recent = window.last(max(FORECAST_POINTS, horizon_steps // window.stride))
    if len(recent) == 0:
        return None
    last_step = int(recent.steps[-1])
    empty = np.empty(0, dtype=np.float64)
    good = np.isfinite(recent.values)
    if broken:
        tail = recent.last(LEAST_POINTS).values
        tail = tame(tail[np.isfinite(tail)])
        if not math.isfinite(float(recent.values[-1])) or len(tail) == 0:
            nothing = np.empty(0, dtype=np.int64)
            return Forecast(metric, direction, nothing, empty, empty, empty, log=False, broken=True)
        steps = np.asarray([last_step, last_step + horizon_steps], dtype=np.int64)
        level, spread = median(tail), robust_sigma(tail)
        ones = np.ones(2)
        positive = bool(tail.min() > 0)
        low = max(level - Z90 * spread, 0.5 * level) if positive else level - Z90 * spread
        return Forecast(
            metric, direction, steps, level * ones, low * ones, (level + Z90 * spread) * ones, positive, True
        )
    if good.sum() < LEAST_POINTS:
        return None
    values = tame(recent.values[good])
    positive = bool(values.min() > 0)
    trend = robust_trend(recent.steps[good], np.log(values) if positive else values)
    ahead = extend(trend, last_step + horizon_steps)
    back = unlog if positive else np.asarray
    return Forecast(
        metric, direction, ahead.steps, back(ahead.mean), back(ahead.low), back(ahead.high), log=positive
    )
