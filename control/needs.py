"""Runs that go on though their loss is broken, whether or not a controller looks after them: they need a person."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.cache import cache

from monitoring.storage import series
from training.models import Run
from training.needs import finder

from .course import TAIL, broken_since
from .history import forks_of
from .proposals import LOSS_NAMES, Window

SECONDS = 5  # every open first page asks


@finder
def diverged(runs: Sequence[Run]) -> Mapping[int, str]:
    known = cache.get_many([key_of(run) for run in runs])
    fresh = [run for run in runs if key_of(run) not in known]
    if fresh:
        tails = series.tail(
            [run.source for run in fresh], LOSS_NAMES, TAIL, {run.source: forks_of(run) for run in fresh}
        )
        found = {key_of(run): words(run, tails.get(run.source, {})) for run in fresh}
        cache.set_many(found, SECONDS)
        known |= found
    return {run.pk: known[key_of(run)] for run in runs if known[key_of(run)]}


def key_of(run: Run) -> str:
    return f"diverged:{run.code}"


def words(run: Run, tails: Mapping[str, Any]) -> str:
    """What is wrong with the loss, "" where nothing is, and where it is on its way back."""
    metric = next((key for key in LOSS_NAMES if key in tails and len(tails[key][0])), None)
    step = broken_since(run, metric, Window.of(*tails[metric])) if metric else None
    return "" if step is None else f"diverged: {metric} is broken since step {step}"
