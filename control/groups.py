"""The runs of one experiment as a group policy sees them: who runs, who ended, how each one's goal went, what is left.

Pure values, as in proposals.py. Source of the idea that runs are looked at together: Golovin et al. 2017, KDD (Vizier).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from monitoring.plain import text

from .base import AnyPolicy, GroupPolicy
from .estimators.median import median
from .proposals import Change, Expected, Floats, Goal, Ints, Observation, Proposal, Standing, Window
from .wellformed import well_formed

CURVE_POINTS = 128


@dataclass(frozen=True)
class Adoption:
    """At its own step `step` the run went on with the weights of `run` at that one's step `from_step`."""

    step: int
    run: str
    from_step: int


@dataclass(frozen=True)
class Budget:
    """What the experiment may cost. None: no limit was set. spent: device hours of all its runs so far."""

    device_hours: float | None = None
    spent: float = 0.0
    seconds_left: float | None = None  # until the deadline, negative once it is over


@dataclass(frozen=True, eq=False)
class Member:
    """One run of the group. curve: the goal's metric from the run's first step on, in at most 128 means."""

    run: str
    state: str
    step: int
    curve: Window
    name: str = ""
    total_steps: int | None = None  # where it ends, None where nothing says so
    observation: Observation | None = None  # whole, of a running one
    adoptions: tuple[Adoption, ...] = ()
    device_hours: float = 0.0
    devices: int = 1

    @property
    def is_running(self) -> bool:
        return self.state == "running"

    @property
    def label(self) -> str:
        return f"{self.name} ({self.run})" if self.name else self.run

    @cached_property
    def level(self) -> float:
        """The metric now: the median of its newest means; NaN where there is none."""
        return level_of(self.curve.values)

    def level_at(self, step: int) -> float:
        """The metric's level at a step that it has passed."""
        return level_of(self.curve.until(step).values)


def level_of(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    newest = finite[-max(1, min(5, len(finite) // 8)) :]
    # What stopped being a number is not as good as it last was.
    lost = len(values) and not math.isfinite(float(values[-1]))
    return math.nan if lost or not len(newest) else median(newest)


@dataclass(frozen=True, eq=False)
class Group:
    """All that is known of an experiment's runs at one moment."""

    experiment: str
    goal: Goal
    members: tuple[Member, ...]
    budget: Budget = field(default_factory=Budget)
    parameters: Mapping[str, Any] = field(default_factory=dict)  # of the policy that is asked

    @property
    def running(self) -> list[Member]:
        return [member for member in self.members if member.is_running]

    def is_better(self, value: float, than: float) -> bool:
        """Whether one figure of the goal's metric is better; a number is better than none."""
        if math.isnan(value) or math.isnan(than):
            return not math.isnan(value)
        return value > than if self.goal.direction == "max" else value < than

    def ranked(self, members: Iterable[Member] | None = None) -> list[Member]:
        """From the best level to the worst; those without a number last."""
        sign = -1.0 if self.goal.direction == "max" else 1.0
        chosen = self.members if members is None else members
        return sorted(
            chosen, key=lambda m: (math.isnan(m.level), sign * m.level if m.level == m.level else 0.0, m.run)
        )

    @cached_property
    def best(self) -> Member | None:
        ranked = self.ranked()
        return ranked[0] if ranked and not math.isnan(ranked[0].level) else None

    def is_reached(self, value: float) -> bool:
        """Whether a figure is as good as the goal's target."""
        target = self.goal.target
        return target is not None and not self.is_better(target, value) and not math.isnan(value)

    def standings(self) -> dict[str, Standing]:
        """What the guards must know of each running one."""
        if len(self.members) < 2:
            return {}
        ranked = self.ranked()
        best = self.best
        return {
            member.run: Standing(place, len(ranked), best is None or member.run == best.run)
            for place, member in enumerate(ranked, 1)
            if member.is_running
        }


def curve_of(steps: Ints, values: Floats, points: int = CURVE_POINTS) -> Window:
    """Means over ranges of 2^k steps, at most `points` of them: what is past stays as it is while the run goes on.

    A range that holds something that is not a number has none.
    """
    if len(steps) == 0:
        return Window.of(steps, np.empty(0), values)
    k = 0
    while (int(steps[-1]) >> k) - (int(steps[0]) >> k) + 1 > points:
        k += 1
    if k == 0 and len(steps) <= points:
        return Window.of(steps, np.zeros(len(steps)), values)
    place = (steps >> k) - (steps[0] >> k)
    counts = np.bincount(place)
    full = counts > 0
    # No errstate around it, which costs more than the means: bincount and a division by counts warn of nothing.
    means = np.bincount(place, values)[full] / counts[full]
    middle = np.bincount(place, steps.astype(np.float64))[full] / counts[full]
    return Window.of(middle.astype(np.int64), np.zeros(int(full.sum())), means)


@dataclass(frozen=True)
class Seen:
    """What the group means for one run: its place, and what group policies want of it."""

    standing: Standing | None = None
    asked: Sequence[Proposal] = ()

    def asking(
        self, patience: Callable[[AnyPolicy, Observation], Iterable[object]]
    ) -> Callable[[AnyPolicy, Observation], Iterable[object]]:
        """How policies are asked about this run: what they said of the group, then what they say of it alone."""

        def ask_one(policy: AnyPolicy, observation: Observation) -> Iterable[object]:
            mine = [proposal for proposal in self.asked if proposal.policy == policy.name]
            return [*mine, *patience(policy, observation)]

        return ask_one if self.asked else patience


ALONE = Seen()


def directly(policy: GroupPolicy, group: Group) -> Iterable[object]:
    """As tests and the benchmark ask: without a limit of time."""
    return policy.propose_group(group)


def ask(
    group: Group,
    policies: Sequence[GroupPolicy],
    settings: Mapping[str, Mapping[str, Any]],
    how: Callable[[GroupPolicy, Group], Iterable[object]] = directly,
) -> tuple[dict[str, list[Proposal]], dict[str, str]]:
    """({run: its proposals}, {policy: what went wrong}) of the group policies that are enabled."""
    asked: dict[str, list[Proposal]] = {}
    problems: dict[str, str] = {}
    running = {member.run for member in group.running}
    for policy in policies:
        parameters = {**policy.defaults, **settings.get(policy.name, {})}
        if not parameters.get("enabled", True):
            continue
        try:
            answer = [
                well_formed(policy.name, item) for item in how(policy, replace(group, parameters=parameters))
            ]
        except (Exception, SystemExit) as error:  # noqa: BLE001  a plug-in may raise anything; the others must still be heard
            problems[policy.name] = text(f"{type(error).__name__}: {error}", 500)
            continue
        for proposal in answer:
            if proposal.run in running:
                asked.setdefault(proposal.run, []).append(proposal)
            else:
                problems[policy.name] = (
                    f"its proposal names {proposal.run!r:.40}, which is no running run of the group"
                )
    return asked, problems


def stop(policy: str, group: Group, member: Member, why: str, evidence: Mapping[str, Any]) -> Proposal:
    """The proposal to end a run, with the reason as one sentence."""
    return Proposal(
        policy=policy,
        changes=(Change("stop", value={"why": why}),),
        reason=why,
        evidence={"window": window_of(member), **evidence},
        expected=Expected(0.0, 0.0, 0.0),
        metric=group.goal.metric,
        # Nothing is judged after it; so long is not asked again what was refused.
        judge_after_steps=max(1, (member.total_steps or member.step) // 10),
        run=member.run,
    )


# What a rule that only stops runs begins with: a person enables it, and says that it may act by itself.
STOPS_WHERE_ALLOWED: Mapping[str, Any] = {"enabled": False, "may_stop": False}


def of_each(group: Group, look: Callable[[Member], Proposal | None], from_step: int = 0) -> list[Proposal]:
    """What a rule that looks at one running member after the other says of those at `from_step` or further.

    Nothing where the experiment has no goal to compare them by.
    """
    if not group.goal.metric:
        return []
    found = (look(member) for member in group.running if member.step >= from_step)
    return [proposal for proposal in found if proposal is not None]


def window_of(member: Member) -> list[int]:
    steps = member.curve.steps
    return [int(steps[0]), int(steps[-1])] if len(steps) else [0, member.step]


def figure(value: float) -> float | None:
    """A figure as evidence holds it."""
    return None if math.isnan(value) else float(f"{value:.5g}")
