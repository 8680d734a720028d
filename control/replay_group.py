"""The runs of an experiment together, as they stood at a moment of one of them: what group policies would have said.

Of the other runs the newest count, and a group is looked at only so often: each look builds every member anew.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from training.models import Run
from training.states import ENDED, RunState

from .base import GroupPolicy
from .groups import ALONE, Group, Member, Seen, ask, curve_of
from .history import is_on_line
from .proposals import Goal, Window

if TYPE_CHECKING:
    from .replay import Past

MOST_OTHERS = 20
# Looks at the group in one replay, spread over its moments.
MOST_LOOKS = 100


def others_of(run: Run) -> list[Run]:
    """The newest other runs of the experiment that have begun."""
    mine = Run.objects.filter(experiment=run.experiment_id, last_step__isnull=False).exclude(pk=run.pk)
    return list(mine.select_related("experiment__controller").order_by("-id")[:MOST_OTHERS])


class Together:
    """A run and the others of its experiment, to be asked at moments of the run."""

    def __init__(
        self,
        mine: "Past",
        others: Sequence["Past"],
        policies: Sequence[GroupPolicy],
        settings: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.mine, self.others, self.policies, self.settings = mine, others, policies, settings
        self.problems: dict[str, str] = {}

    def at(self, moment: datetime) -> Seen:
        """What the group meant for the run then; nothing without a goal or without another run."""
        experiment = self.mine.run.experiment
        members = [member_of(past, moment, experiment.goal_metric) for past in (self.mine, *self.others)]
        known = tuple(member for member in members if member is not None)
        if not experiment.goal_metric or len(known) < 2:
            return ALONE
        goal = Goal(experiment.goal_metric, experiment.goal_direction, experiment.goal_target)
        group = Group(str(experiment.pk), goal, known)
        asked, problems = ask(group, self.policies, self.settings)
        self.problems.update(problems)
        code = self.mine.run.code
        return Seen(group.standings().get(code), asked.get(code, ()))


def member_of(past: "Past", at: datetime, metric: str) -> Member | None:
    """The run as the group saw it at `at`; None before its first point."""
    run = past.run
    over = run.ended_at is not None and run.ended_at <= at and run.state in ENDED
    observed = past.observation(at, [])
    if observed is None:
        return None
    curve = curve_at(past, metric, at)
    total = observed.with_role("total_steps")
    length = (
        total.value if total is not None and isinstance(total.value, int) else run.config.get("total_steps")
    )
    return Member(
        run=run.code,
        state=run.state if over else RunState.RUNNING.value,
        step=observed.step,
        curve=curve,
        name=run.name,
        total_steps=length if isinstance(length, int) else None,
        observation=None if over else observed,
    )


def curve_at(past: "Past", metric: str, at: datetime) -> Window:
    """The metric's whole curve on the line that the run was on then."""
    track = past.tracks.get(metric)
    if track is None:
        return Window.of((), (), ())
    count = int(np.searchsorted(track.times, at.timestamp(), side="right"))
    branch = past.branch(at.timestamp())
    forks = [(index, step) for index, step in past.forks.items() if index <= branch]
    pairs = zip(track.steps[:count], track.branches[:count], strict=True)
    kept = np.fromiter((is_on_line(int(step), int(b), forks) for step, b in pairs), dtype=bool, count=count)
    whole = Window.of(track.steps[:count][kept], track.times[:count][kept], track.values[:count][kept])
    return curve_of(whole.steps, whole.values)


def looks(moments: Sequence[datetime], live: Callable[[datetime], bool]) -> set[datetime]:
    """The moments at which the group is looked at: evenly spread, and those at which the controller decided live."""
    pace = max(1, -(-len(moments) // MOST_LOOKS))
    return set(moments[::pace]) | {moment for moment in moments if live(moment)}
