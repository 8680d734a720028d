"""Runs that go on though their loss is broken, whether or not a controller looks after them: they need a person."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.cache import cache

from monitoring.storage import series
from training.models import Run
from training.needs import finder

from .estimators.health import Kind, Limits, Trouble, find_trouble
from .history import forks_of
from .proposals import LOSS_NAMES, Window

POINTS = 500
SECONDS = 5  # every open first page asks


@finder
def diverged(runs: Sequence[Run]) -> Mapping[int, str]:
    known = cache.get_many([key_of(run) for run in runs])
    fresh = [run for run in runs if key_of(run) not in known]
    if fresh:
        tails = series.tail(
            [run.source for run in fresh], LOSS_NAMES, POINTS, {run.source: forks_of(run) for run in fresh}
        )
        found = {key_of(run): words(tails.get(run.source, {})) for run in fresh}
        cache.set_many(found, SECONDS)
        known |= found
    return {run.pk: known[key_of(run)] for run in runs if known[key_of(run)]}


def key_of(run: Run) -> str:
    return f"diverged:{run.code}"


def words(tails: Mapping[str, Any]) -> str:
    """What is wrong with the loss, "" where nothing is. A jump alone may be a person's doing, and heal."""
    metric = next((key for key in LOSS_NAMES if key in tails and len(tails[key][0])), None)
    trouble: Trouble | None = find_trouble(Window.of(*tails[metric]), Limits()) if metric else None
    if trouble is None or trouble.kind is Kind.JUMP:
        return ""
    return f"diverged: {metric} is broken since step {trouble.onset_step}"
