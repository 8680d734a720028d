"""What the controller looks at: rows and series of the watched runs, as observations.

A fixed number of queries, however many runs there are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db.models import Count, F, Q
from django.db.models import Window as WindowOf
from django.db.models.functions import RowNumber

from training.models import Checkpoint, Command, CommandState, Experiment, Run, RunEvent, Tunable
from training.models.command import VOID
from training.states import RunState

from .base import AnyPolicy
from .models import ControllerSettings, Decision, DecisionState, Mode
from .proposals import (
    ACTED_STATES,
    LOSS_NAMES,
    CheckpointView,
    Goal,
    Measurement,
    Observation,
    PastDecision,
    TunableView,
    Window,
)

TAIL_STEPS = 1000
PAST_DECISIONS = 200
MEASUREMENTS = 20
IN_FLIGHT = (CommandState.PENDING, CommandState.SENT)
OPEN = (DecisionState.PROPOSED, DecisionState.SENT, DecisionState.APPLIED)
STEERED = Q(state=RunState.RUNNING, experiment__controller__isnull=False) & ~Q(
    experiment__controller__mode=Mode.OFF
)
# Who sets out is looked at more often: a rate is searched for in a run's first 300 steps, and begun anew from there.
START_STEPS, START_SECONDS, MOST_STARTS = 1000, 300, 50
BEAT_SECONDS = 1.0  # between two looks at who sets out
START_EVERY_SECONDS = 0.2  # between two looks at who sets out quickly: of steps of 3 ms some 65
# Who makes fewer than ten steps in that time is looked at each second: each look is one more chance to be mistaken.
QUICK_STEPS_PER_SECOND = 40.0
# Nothing of these reached the run.
UNACTED = (DecisionState.RECORDED, DecisionState.BLOCKED, DecisionState.REJECTED, DecisionState.EXPIRED)
# What is wanted of a run's large columns, and no more of them.
NAMES_OF_OPTIMISER = ("optimizer", "optimiser", "opt", "optim")
TOLD = {
    "told_verbs": F("process__verbs"),
    "told_optimizer": F("config__optimizer"),
    "told_optimiser": F("config__optimiser"),
    "told_opt": F("config__opt"),
    "told_optim": F("config__optim"),
}


@dataclass
class Watched:
    """A run with everything the tick needs of it."""

    run: Run
    settings: ControllerSettings | None
    decisions: list[Decision] = field(default_factory=list)  # open or being undone, oldest first
    unacted: list[Decision] = field(default_factory=list)  # nothing was done, and their horizon is reached
    closed: list[PastDecision] = field(default_factory=list)  # the newest others, oldest first
    changes_made: int = 0  # decisions that reached the run, those too old for `closed` too
    tunables: list[Tunable] = field(default_factory=list)
    checkpoints: list[CheckpointView] = field(default_factory=list)  # those the run's present state grew from
    more_commands: Mapping[int, Command] = field(default_factory=dict)  # of decisions on their way
    person_set: dict[str, datetime] = field(default_factory=dict)  # tunable: when a person last asked
    planned: set[str] = field(
        default_factory=set
    )  # tunables that a person has planned to change at a step to come
    person_rolled_back: datetime | None = None
    person_asked: datetime | None = None  # anything at all of this run
    offers: frozenset[str] | None = None
    algorithms: frozenset[str] = frozenset()
    measured: list[Measurement] = field(default_factory=list)  # of the present branch, oldest first
    optimiser: str = ""
    last_seq: int = 0  # the newest command that was there when all this was read
    before: dict[str, Any] = field(default_factory=dict)  # tunable: its value before the last change
    windows: dict[str, Window] = field(default_factory=dict)
    # As it was shown to the groups: holds until something of the run is followed or written down.
    shown: Observation | None = None

    @property
    def mode(self) -> str:
        return Mode.OFF if self.settings is None else self.settings.mode

    @cached_property
    def step(self) -> int:
        newest = [int(window.steps[-1]) for window in self.windows.values() if len(window)]
        return max(newest, default=self.run.last_step or 0)

    def past(self) -> list[PastDecision]:
        """All that is known of earlier decisions, oldest first."""
        return sorted([*self.closed, *map(past_decision, self.decisions)], key=lambda past: past.id)


def watch(
    policies: Sequence[AnyPolicy], tail_steps: int = TAIL_STEPS, only: Sequence[int] | None = None
) -> list[Watched]:
    """The running runs whose controller is on, and all runs with a decision that has not come to its end.

    only: of these (primary keys) alone; None: all.
    """
    watched_runs = Run.objects.filter(
        STEERED | Q(pk__in=Decision.objects.filter(state__in=OPEN).values("run"))
    )
    if only is not None:
        watched_runs = watched_runs.filter(pk__in=only)
    return load(watched_runs, policies, tail_steps)


def setting_out(now: datetime, quickly: bool = False) -> dict[int, str]:
    """Primary keys and codes of the newest runs that began a moment ago and are still in their first steps.

    quickly: only those that made QUICK_STEPS_PER_SECOND steps or more a second so far.
    """
    young = Q(last_step__isnull=True) | Q(last_step__lt=START_STEPS)
    began = now - timedelta(seconds=START_SECONDS)
    found = Run.objects.filter(STEERED, young, started_at__gte=began).order_by("-started_at")
    return {
        pk: code
        for pk, code, step, began in found.values_list("pk", "code", "last_step", "started_at")[:MOST_STARTS]
        if not quickly
        or (began is not None and (step or 0) >= QUICK_STEPS_PER_SECOND * (now - began).total_seconds() > 0)
    }


def load(runs: Any, policies: Sequence[AnyPolicy], tail_steps: int = TAIL_STEPS) -> list[Watched]:
    """The given runs (a queryset of Run) with their rows and the newest points of the keys policies read."""
    # What people wrote and what the script told of itself is not looked at: it may be large.
    rows = list(runs.defer("config", "tags", "notes", "summary", "process", "actions").annotate(**TOLD))
    experiments = Experiment.objects.select_related("controller").in_bulk({run.experiment_id for run in rows})
    found: dict[int, Watched] = {}
    for run in rows:
        run.experiment = experiments[run.experiment_id]
        found[run.pk] = Watched(
            run,
            getattr(run.experiment, "controller", None),
            offers=verbs_of(run.told_verbs),
            algorithms=frozenset(str(offer.get("verb")) for offer in run.offers),
            optimiser=optimiser_of(getattr(run, name) for name in TOLD if name != "told_verbs"),
        )
    if not found:
        return []
    add_decisions(found)
    for tunable in Tunable.objects.filter(run__in=found):
        found[tunable.run_id].tunables.append(tunable)
    add_checkpoints(found)
    add_commands(found)
    add_measurements(found)
    add_windows(found, policies, tail_steps)
    return list(found.values())


def verbs_of(told: Any) -> frozenset[str] | None:
    """The verbs a process offers, by its own word."""
    return frozenset(map(str, told)) if isinstance(told, list) else None


def optimiser_of(told: Iterable[Any]) -> str:
    """The optimiser's name as a config tells it under one of the usual names, in small letters; "" for none."""
    named = (name.strip().lower() for name in told if isinstance(name, str))
    return next((name[:40] for name in named if name), "")


def add_decisions(found: Mapping[int, Watched]) -> None:
    mine = Decision.objects.filter(run__in=found)
    undoing = Q(state=DecisionState.UNDONE, undo_command__state__in=IN_FLIGHT)
    current = (
        mine.filter(Q(state__in=OPEN) | undoing).select_related("command", "undo_command").order_by("id")
    )
    more: dict[int, Command] = {}
    for decision in current:
        watched = found[decision.run_id]
        # Without this, each would fetch its run again.
        decision.run = watched.run
        watched.decisions.append(decision)
        watched.more_commands = more
    ids = [
        pk
        for w in found.values()
        for d in w.decisions
        if d.state == DecisionState.SENT
        for pk in d.more_commands
    ]
    more.update(Command.objects.in_bulk(ids))
    due = Q(judged_at__isnull=True, judge_at_step__lte=F("run__last_step"), state__in=UNACTED)
    for decision in (
        mine.filter(due).exclude(forecast={}).select_related("command", "undo_command", "decided_by")
    ):
        decision.run = found[decision.run_id].run
        found[decision.run_id].unacted.append(decision)
    place = WindowOf(RowNumber(), partition_by=[F("run")], order_by=F("id").desc())
    known = {decision.pk for watched in found.values() for decision in watched.decisions}
    ended = (
        mine.exclude(state__in=OPEN).annotate(place=place).filter(place__lte=PAST_DECISIONS).order_by("id")
    )
    for row in ended.values(*PAST_FIELDS):
        if row["id"] not in known:
            found[row["run"]].closed.append(past_of_row(row))
    made = mine.filter(state__in=ACTED_STATES).order_by().values_list("run").annotate(Count("id"))
    for run, count in made:
        found[run].changes_made = count


def add_checkpoints(found: Mapping[int, Watched]) -> None:
    fields = ("run", "id", "step", "branch", "metrics", "path", "settings")
    rows = Checkpoint.objects.filter(run__in=found, available=True).order_by("id").values_list(*fields)
    forks = {pk: forks_of(watched.run) for pk, watched in found.items()}
    for run, pk, step, branch, metrics, path, settings in rows:
        if is_on_line(step, branch, forks[run]):
            found[run].checkpoints.append(CheckpointView(pk, step, branch, metrics, path, settings))


def add_commands(found: Mapping[int, Watched]) -> None:
    asked = Command.objects.filter(run__in=found).exclude(state__in=VOID)
    fields = (
        "run",
        "seq",
        "verb",
        "tunable",
        "created_at",
        "by_person",
        "state",
        "old_value",
        "at_step",
        "applied_at",
    )
    rows = asked.order_by("run", "seq").values_list(*fields)
    for run, seq, verb, name, asked_at, by_person, state, old, at_step, applied_at in rows:
        watched = found[run]
        # What was planned counts as a person's word when it came into force, and until then as standing.
        at = asked_at if at_step is None else applied_at or asked_at
        watched.last_seq = seq
        watched.person_asked = at if by_person else watched.person_asked
        if verb not in ("set", "rollback"):
            continue
        if verb == "rollback":
            watched.person_rolled_back = at if by_person else watched.person_rolled_back
            continue
        if by_person:
            watched.person_set[name] = max(at, watched.person_set.get(name, at))
            if at_step is not None and state in IN_FLIGHT:
                watched.planned.add(name)
        if state == CommandState.APPLIED:
            watched.before[name] = old


def add_measurements(found: Mapping[int, Watched]) -> None:
    """What runs that offer it measured of their own algorithm; what a roll back left behind is of another model."""
    offering = [pk for pk, watched in found.items() if watched.algorithms]
    if not offering:
        return
    place = WindowOf(RowNumber(), partition_by=[F("run")], order_by=F("id").desc())
    told = RunEvent.objects.filter(run__in=offering, kind="algorithm").annotate(place=place)
    for event in told.filter(place__lte=MEASUREMENTS).order_by("id"):
        watched = found[event.run_id]
        seen = measurement_of(event, watched.run.branches)
        if seen is not None:
            watched.measured.append(seen)


def measurement_of(event: RunEvent, branches: Iterable[Mapping[str, Any]]) -> Measurement | None:
    """The table of an event; None where it has none, or where one of these branches left its step behind."""
    table, step = event.data.get("table"), event.step
    if not isinstance(table, dict) or step is None:
        return None
    at = event.at.isoformat()
    if any(str(branch.get("at")) >= at and step > int(branch["from_step"]) for branch in branches):
        return None
    return Measurement(str(event.data.get("verb")), str(event.data.get("outcome")), step, table)


def add_windows(found: Mapping[int, Watched], policies: Sequence[AnyPolicy], tail_steps: int) -> None:
    from monitoring.storage import series

    keys = wanted_keys(policies, found.values())
    forks = {watched.run.source: forks_of(watched.run) for watched in found.values()}
    tails = series.tail(list(forks), keys, tail_steps, forks)
    for watched in found.values():
        columns = tails.get(watched.run.source, {})
        watched.windows = {key: Window.of(*column) for key, column in columns.items() if len(column[0])}


def forks_of(run: Run) -> list[tuple[int, int]]:
    """(branch, the step it begins after) of each branch of the run."""
    return [(int(branch["index"]), int(branch["from_step"])) for branch in run.branches]


def is_on_line(step: int, branch: int, forks: Iterable[tuple[int, int]]) -> bool:
    """Whether the newest branch grew from this state, and did not leave it behind by a later roll back."""
    return all(step <= from_step for index, from_step in forks if index > branch)


def wanted_keys(policies: Sequence[AnyPolicy], watched: Iterable[Watched]) -> list[str]:
    """The keys to read: usual loss names, the goals, what policies and parameters name, open forecasts."""
    keys = set(LOSS_NAMES)
    for policy in policies:
        keys |= set(named_metrics(policy.defaults)) | set(getattr(policy, "metrics", ()))
        keys |= set(getattr(policy, "reads", ()))
    for item in watched:
        keys.add(item.run.experiment.goal_metric)
        for parameters in (item.settings.policies if item.settings else {}).values():
            keys |= set(named_metrics(parameters))
        for decision in item.decisions:
            if decision.state in OPEN:
                fixed = decision.forecast
                keys |= {each.get("metric", "") for each in (fixed, *fixed.get("unharmed", ()))}
        keys |= {d.forecast.get("metric", "") for d in item.unacted}
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
            t.name: tunable_view(
                t,
                now if t.name in watched.planned else watched.person_set.get(t.name),
                now,
                watched.before.get(t.name),
            )
            for t in watched.tunables
        },
        checkpoints=tuple(watched.checkpoints),
        past=tuple(watched.past()),
        changes_made=watched.changes_made,
        mode=watched.mode,
        person_seconds_ago=seconds_since(watched.person_asked, now),
        offers=watched.offers,
        algorithms=watched.algorithms,
        measured=tuple(watched.measured),
        optimiser=watched.optimiser,
    )


def seconds_since(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())


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
        person_seconds_ago=seconds_since(person_set, now),
        before=before,
        about=tunable.about,
    )


def checkpoint_view(checkpoint: Checkpoint) -> CheckpointView:
    return CheckpointView(
        checkpoint.pk,
        checkpoint.step,
        checkpoint.branch,
        checkpoint.metrics,
        checkpoint.path,
        checkpoint.settings,
    )


PAST_FIELDS = (
    "id", "run", "policy", "state", "verb", "tunable", "old_value", "new_value", "decided_step",
    "judge_at_step", "applied_step", "verdict", "measured", "urgent", "blocked_by", "evidence", "changes", "mode",
)  # fmt: skip


def past_decision(decision: Decision) -> PastDecision:
    return past_of_row({name: getattr(decision, name) for name in PAST_FIELDS})


def past_of_row(row: Mapping[str, Any]) -> PastDecision:
    return PastDecision(
        id=row["id"],
        policy=row["policy"],
        state=row["state"],
        verb=row["verb"],
        tunable=row["tunable"],
        old_value=row["old_value"],
        new_value=row["new_value"],
        decided_step=row["decided_step"],
        judge_at_step=row["judge_at_step"],
        applied_step=row["applied_step"],
        verdict=row["verdict"],
        # What nobody acted on had no effect: there, the difference is the forecast's.
        effect=row["measured"].get("difference") if row["verdict"] else None,
        urgent=row["urgent"],
        blocked_rule=row["blocked_by"].partition(":")[0],
        evidence=row["evidence"],
        tunables=tuple(change["tunable"] for change in row["changes"] if change["verb"] == "set"),
        mode=row["mode"],
    )
