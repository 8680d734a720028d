"""How a loss is read: which metric shows the run's pace, and what its newest points say."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from control.estimators.median import median, row_medians
from control.estimators.pace import pace
from control.estimators.trend import Trend, robust_sigma, robust_trend
from control.proposals import Floats, Observation, Window

RATE_IN_FORCE = "lr"


@dataclass(frozen=True, eq=False)
class Reading:
    """Progress since the last change: `progress` is the fall of log(loss) over the trend's window.

    What the whole of the window tells is worked out when it is asked for: most readings are asked for their trend.
    """

    trend: Trend
    progress: float
    is_start: bool  # the window reaches back to the run's first steps
    unit: str  # "log" or "spread"
    y: Floats  # all that is known, in that unit

    @cached_property
    def start(self) -> float:
        return median(self.y[:5])

    @property
    def moved(self) -> float:
        """The fall of log(loss) since the start of what is known."""
        return self.start - self.trend.level

    @cached_property
    def above_best(self) -> float:
        """How far the level is above the lowest seen before."""
        blocks = self.y[: len(self.y) // 20 * 20].reshape(-1, 20)
        return self.trend.level - (float(row_medians(blocks).min()) if len(blocks) else self.trend.level)

    @cached_property
    def calm_start(self) -> bool:
        """The loss never was far above its start."""
        return self.unit == "log" and float(self.y.max()) < self.start + float(np.log(1.5))


def read(since: Window, whole: Window, window_steps: int, scale: int) -> Reading | None:
    """The trend of the newest `window_steps * scale` steps of `since`; None with too few finite points."""
    if len(since) == 0:
        return None
    recent = since.after(int(since.steps[-1]) - window_steps * scale)
    known = recent.finite
    if len(known) < max(24, 0.5 * window_steps) or len(known) / len(recent) < 0.9:
        return None
    finite = whole.finite.values
    positive = bool(finite.min() > 0)
    spread = 1.0 if positive else max(robust_sigma(finite), 1e-12)

    def to_y(values: Floats) -> Floats:
        return np.log(values) if positive else values / spread

    trend = robust_trend(known.steps, to_y(known.values))
    return Reading(
        trend=trend,
        progress=-trend.slope * trend.steps,
        is_start=int(whole.steps[0]) <= 5 * scale,
        unit="log" if positive else "spread",
        y=to_y(finite),
    )


def pace_metric(observation: Observation, preferred: str) -> str:
    """What shows a run's pace: its goal where that is to grow and is often logged, else the loss.

    The loss of an agent says nothing of how well it does.
    """
    loss = observation.loss_metric(preferred)
    goal = observation.windows.get(observation.goal.metric)
    if preferred or goal is None or observation.goal.direction != "max":
        return loss
    often = not loss or goal.stride <= 10 * observation.windows[loss].stride
    return observation.goal.metric if often else loss


def still_setting_out(observation: Observation, metric: str, search_steps: int) -> bool:
    """Whether the run is so young that only the search may act on its rate."""
    window = observation.windows[metric]
    young = 0 < len(window) <= search_steps and int(window.steps[0]) <= 5 * window.stride
    return young and pace(window, None, "min") is not None


def schedule_rises(observation: Observation, after_step: int) -> bool:
    """Whether the script's own schedule is raising the rate at present, as in a warm-up.

    Seen in the rate in force that the run logs; what a change of the control did to it lies before `after_step`.
    """
    rates = observation.windows.get(RATE_IN_FORCE)
    if rates is None:
        return False
    values = rates.after(after_step).last(20).values
    return len(values) > 1 and float(values[-1]) > 1.02 * float(values[0])


def schedule_falls(observation: Observation, after_step: int) -> bool:
    """Whether the script's own schedule lowers the rate at present, seen in the rate in force that the run logs."""
    rates = observation.windows.get(RATE_IN_FORCE)
    if rates is None:
        return False
    values = rates.after(after_step).finite.values
    return len(values) > 1 and float(values[-1]) < 0.95 * float(values[0])
