"""What came of a change that a person made: the judgement that the controller's own changes get, for a hand's too.

The forecast of not having changed anything is made from the points before the change, once it was applied, and held
against what came. Nothing is undone for it: a person's change is a person's.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from monitoring.live.publish import publish_change
from monitoring.plain import plain
from training.models import Command, CommandState
from training.models.command import Verb
from training.states import ENDED

from .forecasts import Forecast, forecast
from .history import forks_of
from .models import ChangeEffect, Verdict
from .proposals import LOSS_NAMES, Window
from .verify import Judgement, verdict_now

HORIZON_POINTS = 100  # of the metric, from the change to the verdict
LEAST_HORIZON_STEPS = 20
LOOKED_AT = timedelta(days=1)  # what was applied longer ago is not begun with any more
AT_ONCE = 50
TAIL_STEPS = 1000
CHANGES = (Verb.SET, Verb.ROLLBACK, Verb.ADOPT)


def follow(now: datetime) -> int:
    """Begin with changes that came into force, and judge those whose horizon is reached. How many were judged."""
    begin(now)
    open_now = ChangeEffect.objects.filter(verdict="").select_related("run__experiment", "command")
    due = open_now.filter(Q(judge_at_step__lte=F("run__last_step")) | Q(run__state__in=ENDED))
    return sum(judge(effect, now) for effect in due.order_by("id")[:AT_ONCE])


def begin(now: datetime) -> None:
    applied = Command.objects.filter(
        verb=Verb.SET, by_person=True, state=CommandState.APPLIED, applied_at__gt=now - LOOKED_AT, effect=None
    ).exclude(applied_step=None)
    # One of a group stands for all of it: they were changed at one step.
    others = Command.objects.filter(group__in=applied.exclude(group="").values("group"), effect__isnull=False)
    judged = set(others.values_list("group", flat=True))
    for command in applied.select_related("run__experiment").order_by("id")[:AT_ONCE]:
        if command.group and command.group in judged:
            continue
        judged.add(command.group)
        try:
            with transaction.atomic():
                ChangeEffect.objects.create(**first_look(command))
        except IntegrityError:  # another tick was faster
            continue
        announce(command)


def first_look(command: Command) -> dict[str, Any]:
    """The effect's row as it begins: its metric, and the forecast of not having changed anything."""
    run, step = command.run, int(command.applied_step or 0)
    windows = windows_of(run)
    metric = next((key for key in wanted(run) if len(windows.get(key, ()))), "")
    fields: dict[str, Any] = {"command": command, "run": run, "metric": metric, "applied_step": step}
    if not metric:
        sentence = "Neither the experiment's goal nor a loss is logged, so nothing tells what came of it."
        told = Judgement("unclear", sentence).as_json()
        return fields | {"judge_at_step": step, "verdict": Verdict.UNCLEAR, "measured": told}
    window = windows[metric]
    horizon = max(LEAST_HORIZON_STEPS, HORIZON_POINTS * window.stride)
    before = window.until(step).after(last_change(command))
    fixed = forecast(
        metric,
        before,
        horizon,
        run.experiment.goal_direction if metric == run.experiment.goal_metric else "min",
    )
    kept = {} if fixed is None else plain(fixed.as_json())
    return fields | {"forecast": kept, "judge_at_step": step + horizon}


def judge(effect: ChangeEffect, now: datetime) -> bool:
    horizon = effect.judge_at_step - effect.applied_step
    again = changed_again(effect)
    found: Judgement | None
    if again is not None:
        what = again.tunable or again.verb
        sentence = f"{what} was changed at step {again.applied_step}, before this could be judged."
        found = Judgement("unclear", sentence, metric=effect.metric)
    else:
        fixed = Forecast.from_json(effect.forecast) if effect.forecast else None
        window = windows_of(effect.run).get(effect.metric)
        found = verdict_now(fixed, window, effect.applied_step, horizon, run_step=effect.run.last_step)
        if found is None and effect.run.state in ENDED:
            found = Judgement("unclear", f"The run ended ({effect.run.state}) before this could be judged.")
    if found is None:
        return False
    won = ChangeEffect.objects.filter(pk=effect.pk, verdict="").update(
        verdict=found.verdict, measured=plain(found.as_json()), judged_at=now
    )
    if won:
        announce(effect.command)
    return bool(won)


def wanted(run: Any) -> Sequence[str]:
    goal = run.experiment.goal_metric
    return [goal, *LOSS_NAMES] if goal else list(LOSS_NAMES)


def windows_of(run: Any) -> dict[str, Window]:
    from monitoring.storage import series

    keys = list(dict.fromkeys(wanted(run)))
    columns = series.tail([run.source], keys, TAIL_STEPS, {run.source: forks_of(run)}).get(run.source, {})
    return {key: Window.of(*column) for key, column in columns.items() if len(column[0])}


def last_change(command: Command) -> int:
    """The step of the run's change before this one, -1 for none."""
    earlier = changes_of(command).filter(seq__lt=command.seq, applied_step__lt=command.applied_step)
    return max(earlier.values_list("applied_step", flat=True), default=-1)


def changed_again(effect: ChangeEffect) -> Command | None:
    """The first further change before the horizon, whoever made it: its effect could not be told from this one's."""
    later = changes_of(effect.command).filter(applied_step__lt=effect.judge_at_step)
    later = later.filter(applied_at__gt=effect.command.applied_at).exclude(applied_step=effect.applied_step)
    return later.order_by("applied_at").first()


def changes_of(command: Command) -> Any:
    applied = Command.objects.filter(run=command.run_id, state=CommandState.APPLIED, verb__in=CHANGES)
    return applied.exclude(pk=command.pk).exclude(applied_step=None)


def announce(command: Command) -> None:
    publish_change(f"run:{command.run.code}", "effect", {"command": command.seq})
