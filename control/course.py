"""Whether a run's loss is broken, on its way back or back, by its newest points and what the store has of its past."""

import numpy as np
from django.core.cache import cache

from monitoring.storage import series
from training.models import Run

from .estimators.course import Course, Stage, find_course, find_present_trouble
from .estimators.health import Kind, Limits
from .proposals import Window

TAIL = 1000  # points that are judged one by one
PAST = 1000  # buckets, by the last point of each, that stand for all before
PAST_SECONDS = 300  # what was long ago changes slowly
TOLD_SECONDS = 24 * 3600


def course_of(run: Run, metric: str, tail: Window) -> Course | None:
    """None where the loss is well and has been for a while. tail: its newest TAIL points, or all."""
    key = f"trouble:{run.code}:{len(run.branches)}:{metric}"
    found = find_course(with_past(run, metric, tail), tail, Limits(), cache.get(key))
    if found is None or found.stage is Stage.RECOVERED:
        cache.delete(key)
    else:
        cache.set(key, found.trouble, TOLD_SECONDS)
    return found


def broken_since(run: Run, metric: str, tail: Window) -> int | None:
    """The step since which the loss is broken and does not mend; None for a jump, which may be somebody's doing."""
    trouble = find_present_trouble(with_past(run, metric, tail), tail, Limits())
    if trouble is None or trouble.kind is Kind.JUMP:
        return None
    found = course_of(run, metric, tail)
    return found.trouble.onset_step if found is not None and found.stage is Stage.BROKEN else None


def with_past(run: Run, metric: str, tail: Window) -> Window:
    """The newest points and, thinned out, those before them on the run's present branch."""
    if len(tail) < TAIL:
        return tail
    key = f"past:{run.code}:{len(run.branches)}:{metric}"
    past = cache.get(key)
    if past is None:
        first = int(tail.steps[0])
        parts = series.read(run.source, [metric], width=PAST, end=first - 1, branches=run.branches)
        columns = [part.columns for part in parts if not part.faded]
        past = tuple(
            np.concatenate([column[name] for column in columns]) if columns else np.empty(0)
            for name in ("step", "time", "last")
        )
        cache.set(key, past, PAST_SECONDS)
    steps, times, values = past
    old = steps < tail.steps[0]
    return Window.of(
        np.concatenate([steps[old], tail.steps]),
        np.concatenate([times[old], tail.times]),
        np.concatenate([values[old], tail.values]),
    )
