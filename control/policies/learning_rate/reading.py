"""How a loss is read: which metric shows the run's pace, and what its newest points say."""

from dataclasses import dataclass

import numpy as np

from control.estimators.median import median, row_medians
from control.estimators.pace import pace
from control.estimators.trend import Trend, robust_sigma, robust_trend
from control.proposals import Floats, Observation, Window

RATE_IN_FORCE = "lr"


@dataclass(frozen=True)
class Reading:
    """Progress since the last change: `progress` is the fall of log(loss) over the trend's window."""

    trend: Trend
    progress: float
    moved: float  # fall of log(loss) since the start of what is known
    above_best: float  # how far the level is above the lowest seen before
    is_start: bool  # the window reaches back to the run's first steps
    calm_start: bool  # the loss never was far above its start
    unit: str  # "log" or "spread"


def read(since: Window, whole: Window, window_steps: int, scale: int) -> Reading | None:
    """The trend of the newest `window_steps * scale` steps of `since`; None with too few finite points."""
    if len(since) == 0:
        return None
    recent = since.after(int(since.steps[-1]) - window_steps * scale)
    good = np.isfinite(recent.values)
    if good.sum() < max(24, 0.5 * window_steps) or good.mean() < 0.9:
        return None
    finite = whole.values[np.isfinite(whole.values)]
    positive = bool(finite.min() > 0)
    spread = 1.0 if positive else max(robust_sigma(finite), 1e-12)

    def to_y(values: Floats) -> Floats:
        return np.log(values) if positive else values / spread

    trend = robust_trend(recent.steps[good], to_y(recent.values[good]))
    everything: Floats = to_y(finite)
    start = median(everything[:5])
    blocks = everything[: len(everything) // 20 * 20].reshape(-1, 20)
    best = float(row_medians(blocks).min()) if len(blocks) else trend.level
    return Reading(
        trend=trend,
        progress=-trend.slope * trend.steps,
        moved=start - trend.level,
        above_best=trend.level - best,
        is_start=int(whole.steps[0]) <= 5 * scale,
        calm_start=positive and float(everything.max()) < start + np.log(1.5),
        unit="log" if positive else "spread",
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
