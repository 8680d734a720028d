"""The groups of a tick: the watched runs of each experiment, with those that ended, as control/groups.py shows them.

Curves come from the windows that the tick has read anyhow. What lies before a window, and the whole of an ended run,
is read once from the store's roll-ups and kept by this process, down-sampled.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import F

from training.models import Attempt, Command, CommandState, Experiment, Run
from training.progress import LENGTHS
from training.states import ENDED, RunState

from . import history
from .base import GroupPolicy
from .deadline import Patience
from .groups import ALONE, CURVE_POINTS, Adoption, Budget, Group, Member, Seen, ask, curve_of
from .models import Mode
from .proposals import Goal, Window

logger = logging.getLogger(__name__)
# Of an experiment's ended runs the newest are looked at.
MOST_ENDED = 300
# Curves that are read from the store in one tick: the others wait for the next, so that no tick becomes long.
MOST_READ = 20
MOST_KEPT = 20_000


@dataclass
class Gathered:
    runs: dict[str, Seen] = field(default_factory=dict)
    problems: dict[int, dict[str, str]] = field(default_factory=dict)  # by the settings' key

    def of(self, run: str) -> Seen:
        return self.runs.get(run, ALONE)


@dataclass
class Kept:
    """A curve as it was read: of an ended run its whole, of a running one what its window no longer holds."""

    version: tuple[Any, ...]
    curve: Window


class Curves:
    """The curves of this process, the oldest read forgotten first; at most MOST_READ reads a tick."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Kept] = {}
        self.left = MOST_READ

    def whole(self, run: Run, metric: str, version: tuple[Any, ...]) -> Window | None:
        """The run's curve from the store, as it was at `version`; an older one, or None, while its turn is not come."""
        key = run.code, metric
        known = self.kept.get(key)
        if known is not None and known.version == version:
            return known.curve
        if self.left <= 0:
            return None if known is None else known.curve
        self.left -= 1
        self.kept.pop(key, None)
        self.kept[key] = Kept(version, read(run, metric))
        while len(self.kept) > MOST_KEPT:
            del self.kept[next(iter(self.kept))]
        return self.kept[key].curve


CURVES = Curves()


def read(run: Run, metric: str) -> Window:
    """The metric on the run's present line, in at most about 128 means."""
    from monitoring.storage import series

    parts = series.read(run.source, [metric], width=CURVE_POINTS, branches=run.branches)
    live = [part.columns for part in parts if not part.faded]
    if not live:
        return Window.of((), (), ())
    steps = np.concatenate([np.asarray(columns["step"], dtype=np.int64) for columns in live])
    means = np.concatenate([np.asarray(columns["mean"], dtype=np.float64) for columns in live])
    return Window.of(steps, np.zeros(len(steps)), means)


def gather(
    everyone: Sequence[history.Watched], policies: Sequence[GroupPolicy], now: datetime, patience: Patience
) -> Gathered:
    """What the groups of these runs want. An experiment without a goal, or with one run, has no group."""
    found = Gathered()
    by_experiment: dict[int, list[history.Watched]] = defaultdict(list)
    for watched in everyone:
        if watched.mode != Mode.OFF and watched.run.experiment.goal_metric:
            by_experiment[watched.run.experiment_id].append(watched)
    if not by_experiment:
        return found
    CURVES.left = MOST_READ
    ended = ended_of(by_experiment)
    lengths = lengths_of([w for each in by_experiment.values() for w in each])
    adoptions = adoptions_of(everyone)
    for experiment, watching in by_experiment.items():
        settings = watching[0].settings
        assert settings is not None
        goal = watching[0].run.experiment
        try:
            wanted = [p for p in policies if settings.policies.get(p.name, {}).get("enabled", enabled(p))]
            hours = hours_of(goal, now) if goal.budget_device_hours is not None else {}
            running = [
                member_of(w, now, lengths, adoptions, hours, bool(wanted))
                for w in watching
                if w.run.state == RunState.RUNNING
            ]
            group = Group(
                experiment=str(experiment),
                goal=Goal(goal.goal_metric, goal.goal_direction, goal.goal_target),
                members=(*running, *ended.get(experiment, ())),
                budget=Budget(
                    goal.budget_device_hours,
                    sum(share for share, _ in hours.values()),
                    None if goal.deadline is None else (goal.deadline - now).total_seconds(),
                ),
            )
            asked, problems = ask(group, wanted, settings.policies, patience.of_group)
            standings = group.standings()
        except Exception:
            # One experiment's odd rows must not keep the others from being looked after.
            logger.exception("controller: the group of experiment %s was left out of this tick", experiment)
            continue
        for member in running:
            found.runs[member.run] = Seen(standings.get(member.run), asked.get(member.run, ()))
        if problems:
            found.problems[settings.pk] = problems
    return found


def enabled(policy: GroupPolicy) -> bool:
    return bool(policy.defaults.get("enabled", True))


def member_of(
    watched: history.Watched,
    now: datetime,
    lengths: Mapping[int, int],
    adoptions: Mapping[int, Sequence[Adoption]],
    hours: Mapping[int, tuple[float, int]],
    whole: bool,
) -> Member:
    run = watched.run
    spent, devices = hours.get(run.pk, (0.0, 1))
    if whole:
        watched.shown = history.observation(watched, now)
    end = next((t.value for t in watched.tunables if t.role == "total_steps"), None)
    return Member(
        run=run.code,
        name=run.name,
        state=run.state,
        step=watched.step,
        curve=curve_so_far(watched, run.experiment.goal_metric),
        total_steps=end if isinstance(end, int) else lengths.get(run.pk),
        observation=watched.shown,
        adoptions=tuple(adoptions.get(run.pk, ())),
        device_hours=spent,
        devices=devices,
    )


def curve_so_far(watched: history.Watched, metric: str) -> Window:
    """The window that was read, and before it what the store holds, read again each time the window has moved on."""
    window = watched.windows.get(metric)
    if window is None or not len(window):
        return Window.of((), (), ())
    first = int(window.steps[0])
    if len(window) < history.TAIL_STEPS or first <= 2 * window.stride:
        return curve_of(window.steps, window.values)
    # The window's own length: in that many steps what lies before it is new once.
    reach = max(1, int(window.steps[-1]) - first)
    version = len(watched.run.branches), first // reach
    head = CURVES.whole(watched.run, metric, version)
    if head is None:
        return curve_of(window.steps, window.values)
    before = head.until(first - 1)
    between = before.steps[-1] + 1 if len(before) else first
    after = window.after(int(between) - 1)
    return curve_of(
        np.concatenate([before.steps, after.steps]), np.concatenate([before.values, after.values])
    )


def ended_of(experiments: Mapping[int, Sequence[history.Watched]]) -> dict[int, list[Member]]:
    """The newest ended runs of these experiments, with their whole curves."""
    found: dict[int, list[Member]] = {}
    for experiment, watching in experiments.items():
        metric = watching[0].run.experiment.goal_metric
        rows = (
            Run.objects.filter(experiment=experiment, state__in=ENDED)
            .order_by("-id")
            .only("id", "code", "name", "state", "ended_at", "last_step", "branches", "experiment_id")[
                :MOST_ENDED
            ]
        )
        members = []
        for run in rows:
            curve = CURVES.whole(run, metric, ("ended", run.ended_at))
            if curve is not None and len(curve):
                step = max(int(curve.steps[-1]), run.last_step or 0)
                members.append(Member(run.code, run.state, step, curve, run.name, run.last_step))
        found[experiment] = members
    return found


def lengths_of(everyone: Sequence[history.Watched]) -> dict[int, int]:
    """{run: steps} where the run's config tells its length under a usual name, for those without such a control."""
    missing = [w.run.pk for w in everyone if not any(t.role == "total_steps" for t in w.tunables)]
    if not missing:
        return {}
    told = Run.objects.filter(pk__in=missing).values_list("pk", *(F(f"config__{name}") for name in LENGTHS))
    lengths = ((pk, next((n for n in named if is_length(n)), None)) for pk, *named in told)
    return {pk: length for pk, length in lengths if length is not None}


def is_length(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def adoptions_of(everyone: Sequence[history.Watched]) -> dict[int, list[Adoption]]:
    applied = Command.objects.filter(
        run__in=[w.run.pk for w in everyone], verb="adopt", state=CommandState.APPLIED
    )
    found: dict[int, list[Adoption]] = defaultdict(list)
    for pk, step, value in applied.order_by("seq").values_list("run", "applied_step", "value"):
        source = value or {}
        found[pk].append(Adoption(step or 0, str(source.get("run")), int(source.get("step") or 0)))
    return found


def hours_of(experiment: Experiment, now: datetime) -> dict[int, tuple[float, int]]:
    """{run: (device hours so far, devices now)}: of jobs by their attempts, of other runs from start to end."""
    found: dict[int, tuple[float, int]] = {}
    attempts = (
        Attempt.objects.filter(job__run__experiment=experiment).prefetch_related("devices").order_by("id")
    )
    for attempt in attempts.select_related("job"):
        began = attempt.started_at or attempt.created_at
        devices = max(1, len(attempt.devices.all()))
        hours = max(0.0, ((attempt.ended_at or now) - began).total_seconds()) / 3600 * devices
        before, _ = found.get(attempt.job.run_id, (0.0, 1))
        found[attempt.job.run_id] = before + hours, devices
    rows = Run.objects.filter(experiment=experiment, started_at__isnull=False).values_list(
        "pk", "started_at", "ended_at"
    )
    for pk, start, ended in rows:
        if pk not in found and start is not None:
            found[pk] = max(0.0, ((ended or now) - start).total_seconds()) / 3600, 1
    return found
