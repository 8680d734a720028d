"""What the controller looks at: rows and series of the watched runs, as observations.

A fixed number of queries, however many runs there are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q

from training.models import Checkpoint, Command, CommandState, Run, Tunable
from training.states import RunState

from .base import Policy
from .models import ControllerSettings, Decision, DecisionState, Mode
from .proposals import (
    LOSS_NAMES,
    CheckpointView,
    Goal,
    Observation,
    PastDecision,
    TunableView,
    Window,
)

TAIL_STEPS = 1000
PAST_DECISIONS = 200
OPEN = (DecisionState.PROPOSED, DecisionState.SENT, DecisionState.APPLIED)
# A person's command in one of these states had no effect and shows no intent that still stands.
VOID = (CommandState.REJECTED, CommandState.EXPIRED, CommandState.SUPERSEDED)


@dataclass
class Watched:
    """A run with everything the tick needs of it."""

    run: Run
    settings: ControllerSettings | None
    decisions: list[Decision] = field(default_factory=list)  # oldest first
    tunables: list[Tunable] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    person_set: dict[str, datetime] = field(default_factory=dict)  # tunable: when a person last asked
    before: dict[str, Any] = field(default_factory=dict)  # tunable: its value before the last change
    windows: dict[str, Window] = field(default_factory=dict)

    @property
    def mode(self) -> str:
        return Mode.OFF if self.settings is None else self.settings.mode

    @property
    def step(self) -> int:
        newest = [int(window.steps[-1]) for window in self.windows.values() if len(window)]
        return max(newest, default=self.run.last_step or 0)


def watch(policies: Sequence[Policy], tail_steps: int = TAIL_STEPS) -> list[Watched]:
    """The running runs whose controller is on, and all runs with a decision that has not come to its end."""
    watched_runs = Run.objects.filter(
        Q(state=RunState.RUNNING, experiment__controller__isnull=False)
        & ~Q(experiment__controller__mode=Mode.OFF)
        | Q(pk__in=Decision.objects.filter(state__in=OPEN).values("run"))
    )
    return load(watched_runs, policies, tail_steps)


def load(runs: Any, policies: Sequence[Policy], tail_steps: int = TAIL_STEPS) -> list[Watched]:
    """The given runs (a queryset of Run) with their rows and the newest points of the keys policies read."""
    found = {
        run.pk: Watched(run, getattr(run.experiment, "controller", None))
        for run in runs.select_related("experiment__controller")
    }
    if not found:
        return []
    for decision in (
        Decision.objects.filter(run__in=found).select_related("command", "undo_command").order_by("id")
    ):
        found[decision.run_id].decisions.append(decision)
    for tunable in Tunable.objects.filter(run__in=found):
        found[tunable.run_id].tunables.append(tunable)
    for checkpoint in Checkpoint.objects.filter(run__in=found, available=True).order_by("id"):
        found[checkpoint.run_id].checkpoints.append(checkpoint)
    asked = Command.objects.filter(run__in=found, verb="set").exclude(state__in=VOID).order_by("run", "seq")
    fields = ("run", "tunable", "created_at", "by_person", "state", "old_value")
    for run, name, at, by_person, state, old in asked.values_list(*fields):
        if by_person:
            found[run].person_set[name] = at
        if state == CommandState.APPLIED:
            found[run].before[name] = old
    for watched in found.values():
        del watched.decisions[:-PAST_DECISIONS]
    from monitoring.storage import series

    keys = wanted_keys(policies, found.values())
    tails = series.tail([watched.run.source for watched in found.values()], keys, tail_steps)
    for watched in found.values():
        columns = tails.get(watched.run.source, {})
        watched.windows = {key: Window.of(*column) for key, column in columns.items() if len(column[0])}
    return list(found.values())


def wanted_keys(policies: Sequence[Policy], watched: Iterable[Watched]) -> list[str]:
    """The keys to read: usual loss names, the goals, what policies and parameters name, open forecasts."""
    keys = set(LOSS_NAMES)
    for policy in policies:
        keys |= set(named_metrics(policy.defaults)) | set(getattr(policy, "metrics", ()))
    for item in watched:
        keys.add(item.run.experiment.goal_metric)
        for parameters in (item.settings.policies if item.settings else {}).values():
            keys |= set(named_metrics(parameters))
        keys |= {d.forecast.get("metric", "") for d in item.decisions if d.state in OPEN}
    return sorted(keys - {""})


def named_metrics(parameters: Mapping[str, Any]) -> Iterable[str]:
    """A policy names the keys it reads by parameters that end in "metric"."""
    return (str(value) for name, value in parameters.items() if name.endswith("metric") and value)


def observation(watched: Watched, now: datetime) -> Observation:
    """The run as policies see it at `now`."""
    run = watched.run
    goal = run.experiment
    return Observation(
        run=run.code,
        step=watched.step,
        state=run.state,
        goal=Goal(goal.goal_metric, goal.goal_direction, goal.goal_target),
        windows=watched.windows,
        tunables={
            t.name: tunable_view(t, watched.person_set.get(t.name), now, watched.before.get(t.name))
            for t in watched.tunables
        },
        checkpoints=tuple(checkpoint_view(c) for c in watched.checkpoints),
        past=tuple(past_decision(d) for d in watched.decisions),
    )


def tunable_view(
    tunable: Tunable, person_set: datetime | None, now: datetime, before: Any = None
) -> TunableView:
    return TunableView(
        name=tunable.name,
        kind=tunable.kind,
        value=tunable.value,
        initial=tunable.initial,
        low=tunable.low,
        high=tunable.high,
        scale=tunable.scale,
        choices=tuple(tunable.choices),
        role=tunable.role,
        changed_step=tunable.changed_step,
        person_seconds_ago=None if person_set is None else max(0.0, (now - person_set).total_seconds()),
        before=before,
    )


def checkpoint_view(checkpoint: Checkpoint) -> CheckpointView:
    return CheckpointView(
        checkpoint.pk, checkpoint.step, checkpoint.branch, checkpoint.metrics, checkpoint.path
    )


def past_decision(decision: Decision) -> PastDecision:
    return PastDecision(
        id=decision.pk,
        policy=decision.policy,
        state=decision.state,
        verb=decision.verb,
        tunable=decision.tunable,
        old_value=decision.old_value,
        new_value=decision.new_value,
        decided_step=decision.decided_step,
        judge_at_step=decision.judge_at_step,
        applied_step=decision.applied_step,
        verdict=decision.verdict,
        effect=decision.measured.get("difference"),
        urgent=decision.urgent,
        blocked_rule=decision.blocked_by.partition(":")[0],
        evidence=decision.evidence,
    )
