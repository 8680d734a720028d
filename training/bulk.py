"""One of many runs that are asked for the same: a factor becomes a value of each run's own."""

import math
from typing import Any

from django.db import transaction

from .command_checks import undeclared
from .commands import CommandRefused as CommandRefused
from .commands import issue
from .models import Command, Run, Tunable
from .schedules import rounded


def ask(
    run: Run, verb: str, *, tunable: str = "", value: Any = None, factor: float | None = None, **fields: Any
) -> Command:
    """`commands.issue`, with a factor in the place of a value. Raises CommandRefused."""
    with transaction.atomic():
        if factor is not None:
            # Locked, so that two factors that come at once are both counted.
            run = Run.objects.select_for_update().get(pk=run.pk)
            value = times(run, tunable, value, factor)
        return issue(run, verb, tunable=tunable, value=value, **fields)


def times(run: Run, name: str, value: Any, factor: float) -> Any:
    if value is not None or not math.isfinite(factor) or factor <= 0:
        raise CommandRefused("factor", f"factor={factor}; give a number above 0, and no value beside it")
    tunable = run.tunables.filter(name=name).first()
    if tunable is None:
        raise undeclared(name, run.tunables.values_list("name", flat=True))
    if tunable.kind not in {Tunable.Kind.FLOAT, Tunable.Kind.INT}:
        raise CommandRefused("factor", f"{name} is no number; give a value")
    return rounded(tunable, tunable.value * factor)
