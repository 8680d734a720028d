"""What the policies would have decided over a stored run, moment by moment. Nothing is stored or sent.

The same `consider` as in the tick, fed with what was known at each moment: points, commands, checkpoints
and earlier decisions with the verdicts they had by then. Moments are as far apart in the run's own time as looks at a
run are (a second while it sets out, five seconds later), plus those at which the controller decided live.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from training.models import Command, CommandState, Run, RunEvent
from training.models.command import VOID
from training.states import RunState

from . import history
from .base import AnyPolicy, GroupPolicy
from .decide import consider, directly
from .describe import describe
from .groups import ALONE
from .guards import Limits
from .models import Decision, DecisionState, Mode
from .proposals import Floats, Goal, Ints, Measurement, Observation, PastDecision, TunableView, Window
from .record import as_decision
from .registry import Registry, available
from .replay_group import Together, looks, others_of

EVERY_SECONDS = 5.0
# A run of days is looked at in larger paces: an answer within seconds is worth more than each tick.
MOST_MOMENTS = 1000
S = DecisionState


@dataclass
class Replayed:
    """`decisions`: as REST writes them, oldest first, with state recorded or blocked and id null."""

    decisions: list[dict[str, Any]] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    moments: int = 0


@dataclass(frozen=True, eq=False)
class Track:
    """All points of one key in the order they were logged, each with its branch."""

    times: Floats
    steps: Ints
    values: Floats
    branches: Ints


class UnknownPolicy(ValueError):
    """A policy was asked for that this site does not have; the message names those it has."""


def replay(run: Run, names: Sequence[str] | None = None, registry: Registry | None = None) -> Replayed:
    """Replay a stored or running run with the policies of these names (all enabled ones by default).

    Raises UnknownPolicy.
    """
    registry = registry or available()
    policies = chosen(registry, names)
    past = Past(run, policies)
    result = Replayed()
    made: list[PastDecision] = []
    settings = getattr(run.experiment, "controller", None)
    parameters = {} if settings is None else settings.policies
    if names is not None:
        # Who asks for a policy by name wants to see it, switched on or not.
        parameters = {name: {**parameters.get(name, {}), "enabled": True} for name in names}
    limits = Limits.of({} if settings is None else settings.guards)
    together = group_of(run, past, policies, parameters)
    moments = list(past.moments())
    at_group = looks(moments, past.live_moments.__contains__) if together is not None else set()
    for moment in moments:
        result.moments += 1
        # Where the controller decided live, it did not know what this replay thought of between two ticks; and who
        # decided nothing live is asked at the moments between, where it sees what it has thought of before.
        live = moment in past.live_moments
        asked = [policy for policy in policies if policy.name in past.at_work] if live else policies
        observed = past.observation(moment, [] if live else made)
        if observed is None:
            continue
        seen = together.at(moment) if together is not None and moment in at_group else ALONE
        considered, problems = consider(
            observed.but(standing=seen.standing), asked, parameters, limits, ask=seen.asking(directly)
        )
        result.problems.update({problem.policy: problem.message for problem in problems})
        for item in considered:
            state = S.RECORDED if item.refusal is None else S.BLOCKED
            decision = as_decision(item, observed, Mode.OBSERVE, state, moment)
            decision.run = run
            if item.refusal is not None:
                decision.blocked_by = f"{item.refusal.rule}: {item.refusal.sentence}"[:500]
            result.decisions.append(describe(decision))
            if not past.decided_live(decision):
                decision.pk = -len(made) - 1
                made.append(history.past_decision(decision))
    if together is not None:
        result.problems.update(together.problems)
    return result


def group_of(
    run: Run, past: "Past", policies: Sequence[AnyPolicy], parameters: Mapping[str, Any]
) -> Together | None:
    """The runs of the experiment together, where one of the policies looks at them."""
    grouped = [policy for policy in policies if isinstance(policy, GroupPolicy)]
    if not grouped or not run.experiment.goal_metric:
        return None
    others = [Past(other, policies) for other in others_of(run)]
    return Together(past, others, grouped, parameters) if others else None


def chosen(registry: Registry, names: Sequence[str] | None) -> list[AnyPolicy]:
    if names is None:
        return list(registry.policies)
    policies = [registry.named(name) for name in names]
    unknown = [name for name, policy in zip(names, policies, strict=True) if policy is None]
    if unknown:
        known = ", ".join(policy.name for policy in registry.policies)
        raise UnknownPolicy(f"{unknown[0]!r:.80} is no policy of this site; the policies are {known}")
    return [policy for policy in policies if policy is not None]


class Past:
    """A run's rows and points, to be asked what was known at a moment."""

    def __init__(self, run: Run, policies: Sequence[AnyPolicy]) -> None:
        self.run = run
        watched = history.Watched(run, getattr(run.experiment, "controller", None))
        self.tracks = read_tracks(run, history.wanted_keys(policies, [watched]))
        self.forks = dict(history.forks_of(run))
        self.tunables = list(run.tunables.all())
        self.checkpoints = list(run.checkpoints.order_by("id"))
        self.commands = list(run.commands.filter(verb="set").order_by("seq"))
        asked = run.commands.filter(by_person=True).exclude(state__in=VOID)
        self.hands = list(asked.values_list("created_at", flat=True))
        self.mode = watched.mode
        self.states = list(
            RunEvent.objects.filter(run=run, kind="state").order_by("id").values_list("at", "new")
        )
        self.tables = list(RunEvent.objects.filter(run=run, kind="algorithm").order_by("id"))
        self.decisions = list(run.decisions.select_related("command").order_by("id"))
        self.live_moments = {decision.created_at for decision in self.decisions}
        self.at_work = {decision.policy for decision in self.decisions}
        ids = {pk for d in self.decisions for pk in d.more_commands}
        self.more = {c.pk: c for c in Command.objects.filter(pk__in=ids)}

    def moments(self) -> Iterator[datetime]:
        """When to look, in order of time."""
        times = [track.times for track in self.tracks.values() if len(track.times)]
        if not times:
            return
        first, last = min(float(t[0]) for t in times), max(float(t[-1]) for t in times)
        pace = max(EVERY_SECONDS, (last - first) / MOST_MOMENTS)
        # The stamps of live decisions are kept as they are: a float would round the microseconds.
        until = self.set_out_until(last)
        steps = max(int(track.steps[track.times <= until].max(initial=0)) for track in self.tracks.values())
        quickly = steps >= history.QUICK_STEPS_PER_SECOND * (until - first)
        every = history.START_EVERY_SECONDS if quickly else history.BEAT_SECONDS
        early = np.arange(first, until, every)[1:]
        paced = np.concatenate((early, np.arange(first + pace, last + pace, pace)))
        moments = {datetime.fromtimestamp(at, UTC) for at in paced}
        yield from sorted(moments | self.live_moments)

    def set_out_until(self, last: float) -> float:
        """Until when it was a run that sets out (history.setting_out), by the times of its points; never before 0."""
        if self.run.started_at is None:
            return 0.0
        reached = (
            float(track.times[np.argmax(track.steps >= history.START_STEPS)])
            for track in self.tracks.values()
            if len(track.steps) and track.steps.max() >= history.START_STEPS
        )
        return min(self.run.started_at.timestamp() + history.START_SECONDS, last, *reached)

    def observation(self, at: datetime, made: Sequence[PastDecision]) -> Observation | None:
        """The run as it was known at `at`; None before its first point."""
        branch = self.branch(at.timestamp())
        windows = self.windows(at.timestamp(), branch)
        if not windows:
            return None
        forks = [(index, step) for index, step in self.forks.items() if index <= branch]
        goal = self.run.experiment
        earlier = [self.as_known(d, at) for d in self.decisions if d.created_at < at]
        return Observation(
            run=self.run.code,
            step=max(int(window.steps[-1]) for window in windows.values()),
            state=next((new for when, new in reversed(self.states) if when <= at), RunState.RUNNING),
            goal=Goal(goal.goal_metric, goal.goal_direction, goal.goal_target),
            windows=windows,
            tunables={tunable.name: self.tunable(tunable, at) for tunable in self.tunables},
            checkpoints=tuple(
                history.checkpoint_view(c)
                for c in self.checkpoints
                if c.created_at <= at and history.is_on_line(c.step, c.branch, forks)
            ),
            past=(*earlier, *made),
            mode=Mode.ACT if self.mode == Mode.OFF else self.mode,
            person_seconds_ago=history.seconds_since(self.person_asked(at), at),
            optimiser=history.optimiser_of(self.run.config.get(name) for name in history.NAMES_OF_OPTIMISER),
            offers=history.verbs_of(self.run.process.get("verbs")),
            algorithms=frozenset(str(offer.get("verb")) for offer in self.run.offers),
            measured=self.measured(at),
        )

    def person_asked(self, at: datetime) -> datetime | None:
        return max((moment for moment in self.hands if moment < at), default=None)

    def measured(self, at: datetime) -> tuple[Measurement, ...]:
        """The tables there were by then, of the state that the run had."""
        known = [branch for branch in self.run.branches if str(branch.get("at")) <= at.isoformat()]
        found = (history.measurement_of(event, known) for event in self.tables if event.at <= at)
        return tuple(seen for seen in found if seen is not None)[-history.MEASUREMENTS :]

    def branch(self, at: float) -> int:
        """The newest branch that had points by then."""
        known = (t.branches[: np.searchsorted(t.times, at, side="right")] for t in self.tracks.values())
        return max((int(branches.max()) for branches in known if len(branches)), default=0)

    def windows(self, at: float, branch: int) -> dict[str, Window]:
        counts = {key: int(np.searchsorted(t.times, at, side="right")) for key, t in self.tracks.items()}
        found = {}
        for key, track in self.tracks.items():
            # More than the tail, because the newest points may lie on a branch that was left.
            known = slice(max(0, counts[key] - 4 * history.TAIL_STEPS), counts[key])
            steps, branches = track.steps[known], track.branches[known]
            left_at = np.full(len(steps), np.iinfo(np.int64).max)
            for index, from_step in self.forks.items():
                if index <= branch:
                    left_at = np.where(branches < index, np.minimum(left_at, from_step), left_at)
            kept = steps <= left_at
            if kept.any():
                window = Window.of(steps[kept], track.times[known][kept], track.values[known][kept])
                found[key] = window.last(history.TAIL_STEPS)
        return found

    def tunable(self, tunable: Any, at: datetime) -> TunableView:
        mine = [c for c in self.commands if c.tunable == tunable.name]
        asked = [c.created_at for c in mine if c.by_person and c.created_at < at and c.state not in VOID]
        view = history.tunable_view(tunable, max(asked, default=None), at)
        applied = [
            c
            for c in mine
            if c.state == CommandState.APPLIED and c.applied_at is not None and c.applied_at < at
        ]
        fields: dict[str, Any] = {"value": tunable.initial, "changed_step": None}
        if applied:
            newest = max(applied, key=lambda c: c.seq)
            new = newest.value if newest.new_value is None else newest.new_value
            fields = {"value": new, "changed_step": newest.applied_step, "before": newest.old_value}
        elif not mine:
            # Never set by a command: whatever it is now, the script itself made it so.
            fields = {"value": tunable.value, "changed_step": None}
        return TunableView(**{**view.__dict__, **fields})

    def as_known(self, decision: Decision, at: datetime) -> PastDecision:
        """A live decision in the state it had at `at`."""
        view = history.past_decision(decision)
        if decision.command is None or (decision.judged_at is not None and decision.judged_at <= at):
            return view
        commands = [decision.command, *(self.more[pk] for pk in decision.more_commands if pk in self.more)]
        in_force = all(c.applied_at is not None and c.applied_at < at for c in commands)
        fields = {"verdict": "", "effect": None, "state": S.APPLIED.value}
        if not in_force:
            fields |= {"applied_step": None, "state": S.SENT.value}
        if view.state in {S.SENT, S.REJECTED}:
            fields["state"] = view.state
        return PastDecision(**{**view.__dict__, **fields})

    def decided_live(self, decision: Decision) -> bool:
        """Whether the controller made the same decision at the same moment."""
        return any(
            d.created_at == decision.created_at
            and d.policy == decision.policy
            and d.tunable == decision.tunable
            for d in self.decisions
        )


def read_tracks(run: Run, keys: list[str]) -> dict[str, Track]:
    """The run's points of these keys, all branches, in order of time."""
    from monitoring.storage import series

    parts: dict[str, list[tuple[Floats, Ints, Floats, Ints]]] = {}
    for column in series.raw(run.source, keys):
        branches = np.full(len(column.steps), column.branch, dtype=np.int64)
        parts.setdefault(column.key, []).append(
            (
                np.asarray(column.times, dtype=np.float64),
                np.asarray(column.steps, dtype=np.int64),
                np.asarray(column.values, dtype=np.float64),
                branches,
            )
        )
    tracks = {}
    for key, pieces in parts.items():
        times, steps, values, branches = (np.concatenate(piece) for piece in zip(*pieces, strict=True))
        order = np.lexsort((steps, branches, times))
        tracks[key] = Track(times[order], steps[order], values[order], branches[order])
    return tracks
