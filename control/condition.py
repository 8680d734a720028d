"""How a running training does, in one word with its reason, and when it will be done. Nothing is stored or changed."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.conf import settings

from control.course import TAIL, course_of
from control.estimators.course import Course, Stage
from control.estimators.trend import robust_trend
from control.history import forks_of
from control.proposals import Window
from monitoring.storage import series
from training.models import Command, CommandState, Run
from training.progress import length_of
from training.states import LIVE, RunState

LOSSES = ("loss", "train/loss", "train_loss", "training_loss")
WAIT, STEP = "_data_wait_seconds", "_step_seconds"
WAIT_SHARE = 0.2  # of the steps' time, from which on the loader is called slow
RECENT = 100
LAG = 10  # steps, by which the worst point may come before the change that ended it is seen
FLAT_POINTS, FLAT_FALL = 200, 0.01
STALLED_STEPS, STALLED_SECONDS = 20, 30.0


@dataclass(frozen=True)
class Condition:
    """state: healthy, diverged, recovering, recovered, plateau, stalled, silent, slow_loader, early (too little
    seen), or ended.
    """

    state: str
    figures: dict[str, Any]
    step: int | None
    total_steps: int | None
    step_seconds: float | None
    eta_seconds: float | None


def condition(run: Run) -> Condition:
    goal = run.experiment.goal_metric
    keys = [*LOSSES, WAIT, STEP, *([goal] if goal else [])]
    tails = series.tail([run.source], keys, TAIL, {run.source: forks_of(run)}).get(run.source, {})
    windows = {key: Window.of(*column) for key, column in tails.items() if len(column[0])}
    now = time.time()
    pace = seconds_a_step(windows.values())
    total = length_of(run)
    state, figures = state_of(run, windows, now, pace, goal)
    left = total - run.last_step if total is not None and run.last_step is not None else None
    moving = run.state in {RunState.RUNNING, RunState.STARTING} and state not in {"stalled", "silent"}
    eta = max(0, left) * pace if left is not None and pace is not None and moving else None
    return Condition(state, figures, run.last_step, total, pace, eta)


def state_of(
    run: Run, windows: dict[str, Window], now: float, pace: float | None, goal: str
) -> tuple[str, dict[str, Any]]:
    if run.state not in LIVE:
        return "ended", {}
    if run.last_seen_at is not None and now - run.last_seen_at.timestamp() > settings.SILENT_SECONDS:
        return "silent", {"seconds": now - run.last_seen_at.timestamp()}
    loss = next((key for key in LOSSES if key in windows), None)
    course = None
    if loss is not None:
        course = course_of(run, loss, windows[loss])
        if course is not None and course.stage is Stage.BROKEN:
            return "diverged", told_of(course, loss or "")
    if not windows:
        return "early", {}
    newest = max(float(window.times[-1]) for window in windows.values())
    quiet = max(STALLED_SECONDS, STALLED_STEPS * (pace or 0.0))
    if run.state == RunState.RUNNING and now - newest > quiet:
        return "stalled", {"seconds": now - newest}
    if course is not None and course.stage is Stage.RECOVERING:
        return "recovering", told_of(course, loss or "") | cure(run, course)
    share = wait_share(windows)
    if share is not None and share > WAIT_SHARE:
        return "slow_loader", {"share": share}
    if course is not None:
        return "recovered", told_of(course, loss or "") | cure(run, course)
    # A goal that is measured on held-back data now and then says nothing for long: the loss stands in for it.
    metric = next((key for key in (goal, loss) if key in windows and len(windows[key]) >= FLAT_POINTS), None)
    if metric is None:
        return "early", {}
    gain = recent_gain(windows[metric], run.experiment.goal_direction if metric == goal else "min")
    if gain is not None and gain[0] < FLAT_FALL:
        return "plateau", {"metric": metric, "gain": gain[0], "steps": gain[1]}
    return "healthy", {"metric": metric, "gain": gain[0], "steps": gain[1]} if gain else {}


def told_of(course: Course, metric: str) -> dict[str, Any]:
    trouble = course.trouble
    return {
        "metric": metric, "kind": str(trouble.kind), "step": trouble.onset_step, "since": course.since_step,
        "level": trouble.level, "healthy": trouble.healthy_level, "peak": course.peak,
    }  # fmt: skip


def cure(run: Run, course: Course) -> dict[str, Any]:
    """The newest setting that was changed in the trouble, before it mended."""
    mended = course.since_step + (LAG if course.stage is Stage.RECOVERING else 0)
    command = (
        Command.objects.filter(
            run=run, verb="set", state=CommandState.APPLIED,
            applied_step__gt=course.trouble.onset_step, applied_step__lte=mended,
        ).order_by("-applied_step", "-seq").first()
    )  # fmt: skip
    if command is None:
        return {}
    return {"change": {"tunable": command.tunable, "value": command.new_value, "step": command.applied_step}}


def recent_gain(window: Window, direction: str) -> tuple[float, int] | None:
    """(how far the metric came, in parts of where it began; over so many steps): the most that the trend allows."""
    steps, values = window.steps[-TAIL // 2 :], window.values[-TAIL // 2 :]
    good = np.isfinite(values)
    if good.sum() < FLAT_POINTS // 2:
        return None
    trend = robust_trend(steps[good], values[good])
    scale = max(abs(trend.level), 1e-12)
    best = -trend.slope_low if direction == "min" else trend.slope_high
    came = float(best * trend.steps)
    # What falls towards zero cannot fall by more than all of it, however small the rest is.
    falls = direction == "min" and came > 0 and np.median(values[good]) > 0
    began = max(trend.level, 0.0) + came if falls else scale
    return came / began, trend.steps


def wait_share(windows: dict[str, Window]) -> float | None:
    if WAIT not in windows or STEP not in windows:
        return None
    waits, steps = windows[WAIT].values[-RECENT:], windows[STEP].values[-RECENT:]
    total = float(np.nansum(steps))
    return float(np.nansum(waits)) / total if len(waits) >= 20 and total > 0 else None


def seconds_a_step(windows: Any) -> float | None:
    """The median over the newest points, which pauses and restarts do not stretch."""
    longest = max(windows, key=len, default=None)
    if longest is None or len(longest) < 3:
        return None
    steps, times = np.diff(longest.steps[-RECENT:]), np.diff(longest.times[-RECENT:])
    good = (steps > 0) & (times > 0)
    return float(np.median(times[good] / steps[good])) if good.any() else None
