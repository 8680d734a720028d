"""Spend steps where they pay: end what cannot become the best or has arrived, extend what still improves.

Sees: the goal's metric of an experiment's runs from their first steps on, where each run ends, what the experiment may
cost. Does, from the forecast of each curve with its interval (control/estimators/curve.py):
- stop a run whose chance to end better than the group's leader is below `chance`, or that cannot reach the target;
- end a run that has reached the target, by moving its end to now;
- move the end of the leader further out while the forecast says that it still improves, where the target asks for it
  or none is set;
- where the device hours that are left, or the deadline, do not suffice for what runs, stop the least promising.
Sources: Domhan, Springenberg and Hutter 2015, IJCAI (end a run whose predicted end is below the best, at a chance of
0.05); Swersky, Snoek and Adams 2014, arXiv 1406.3896 (freeze-thaw: which curve is worth going on with); Klein et al.
2017, ICLR.
Limits: a curve that is about to change by itself (a scheduler's step, a phase change) looks like one that has settled.
A run is looked at from `first_look` of its length on, and each time it has grown by an eighth.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from control.estimators.curve import LEVELS, Outlook, outlook
from control.groups import Group, Member, figure, stop, window_of
from control.proposals import Change, Expected, Proposal, TunableView

GROWTH = 1.125
# What two looks at the same curve agree on in any case: a level is no sharper than this share of itself.
LEAST_SHARE = 0.002


class Budget:
    name = "budget"
    summary = (
        "Ends runs that cannot become the best or have arrived, and extends the one that still improves."
    )
    defaults: Mapping[str, Any] = {
        "enabled": True,
        "may_stop": False,
        "may_extend": False,
        "chance": 0.05,
        "first_look": 0.1,
        "least_steps": 50,
        "extend_by": 1.5,
        "gain": 0.02,
    }

    def propose_group(self, group: Group) -> list[Proposal]:
        if not group.goal.metric:
            return []
        views = {
            member.run: view for member in group.members if (view := self._view(group, member)) is not None
        }
        leader = lead(group, views)
        found: dict[str, Proposal] = {}
        for member in group.running:
            if member.total_steps is not None and member.step >= member.total_steps:
                continue  # it ends by itself
            proposal = (
                self._arrived(group, member)
                or self._hopeless(group, member, views, leader)
                or self._extended(group, member, views, leader)
            )
            if proposal is not None:
                found[member.run] = proposal
        for proposal in self._beyond_means(group, views, leader, set(found)):
            found[proposal.run] = proposal
        return list(found.values())

    def _view(self, group: Group, member: Member) -> "View | None":
        """Where the run will be at its end; of an ended one, where it is. None while too little is seen."""
        direction = group.goal.direction
        if not member.is_running:
            return None if math.isnan(member.level) else View(member, settled(member.level), member.level)
        total = member.total_steps
        if total is None or math.isnan(member.level):
            return None
        if member.step >= total:
            return View(member, settled(member.level), member.level)
        first = max(int(group.parameters["least_steps"]), int(float(group.parameters["first_look"]) * total))
        look = last_look(first, member.step)
        if look is None:
            return None
        curve = member.curve.until(look)
        later = int(total * max(1.01, float(group.parameters["extend_by"])))
        seen = foretold(curve.steps.tobytes(), curve.values.tobytes(), total, later, direction)
        return None if seen is None else View(member, seen.values[0], member.level, seen.values[1])

    def _arrived(self, group: Group, member: Member) -> Proposal | None:
        """End a run that has reached the experiment's target."""
        if not group.is_reached(member.level) or len(member.curve) < 5:
            return None
        target = group.goal.target
        why = f"{group.goal.metric} is {member.level:.4g} and the target of {target:.4g} is reached; it ends here."
        evidence = {"value": figure(member.level), "target": target}
        end = end_of(member)
        if end is None:
            return stop(self.name, group, member, why, evidence)
        if end.value <= member.step:
            return None
        return self._move_end(group, member, end, max(1, member.step), why, evidence, Expected(0.0, 0.0, 0.0))

    def _hopeless(
        self, group: Group, member: Member, views: Mapping[str, "View"], leader: "View | None"
    ) -> Proposal | None:
        view = views.get(member.run)
        limit = float(group.parameters["chance"])
        if math.isnan(member.level) and leader is not None and len(member.curve) >= 5:
            why = f"{group.goal.metric} is not a number, and {leader.member.label} is at {leader.level:.4g}."
            return stop(self.name, group, member, why, {"leader": leader.member.run})
        if view is None or member.total_steps is None or leader is None or view is leader:
            return None
        # Whatever is foretold, what is best now is kept until another one is.
        if group.best is not None and member.run == group.best.run:
            return None
        metric, total = group.goal.metric, member.total_steps
        low, high = view.interval()
        evidence = {
            "end": total, "low": figure(low), "high": figure(high), "leader": leader.member.run,
            "leader_low": figure(leader.interval()[0]), "leader_high": figure(leader.interval()[1]),
        }  # fmt: skip
        foretold = f"{metric} would be {low:.4g} to {high:.4g} at its end, step {total} (80 %)"
        better = beats(view, leader, group.goal.direction)
        if better < limit:
            ends = leader.interval()
            why = (
                f"{foretold}; {leader.member.label} will be at {ends[0]:.4g} to {ends[1]:.4g}. The chance to end "
                f"better is {percent(better)}."
            )
            return stop(self.name, group, member, why, {**evidence, "chance": round(better, 4)})
        target = group.goal.target
        if target is not None:
            reached = view.chance_of(target, group.goal.direction)
            if reached < limit and view.chance_later(target, group.goal.direction) < 0.5:
                why = f"{foretold}; the chance to reach the target of {target:.4g} is {percent(reached)}."
                return stop(
                    self.name, group, member, why, {**evidence, "chance": round(reached, 4), "target": target}
                )
        return None

    def _extended(
        self, group: Group, member: Member, views: Mapping[str, "View"], leader: "View | None"
    ) -> Proposal | None:
        """Move the end of the leader out while it improves; only near its end, when the forecast is short."""
        view, end = views.get(member.run), end_of(member)
        if (
            view is None
            or view is not leader
            or view.later is None
            or end is None
            or member.total_steps is None
        ):
            return None
        total = member.total_steps
        if member.step < 0.8 * total or member.step >= total or self._is_spent(group):
            return None
        value = int(total * max(1.01, float(group.parameters["extend_by"])))
        value = min(value, int(end.high)) if end.high is not None else value
        now, then = median_of(view.values), median_of(view.later)
        gain = (then - now) / max(abs(now), 1e-12) * (1 if group.goal.direction == "max" else -1)
        target, direction = group.goal.target, group.goal.direction
        if target is not None:
            in_time, later = view.chance_of(target, direction), view.chance_later(target, direction)
            if in_time > 0.5 or later < 0.5:
                return None
            for_what = (
                f"the chance to reach {target:.4g} is {percent(in_time)} by then and {percent(later)} by"
            )
        else:
            if gain < float(group.parameters["gain"]):
                return None
            for_what = f"it would be {now:.4g} by then and {then:.4g}, {percent(gain)} better, by"
        if value <= total:
            return None
        why = (
            f"{group.goal.metric} still improves {member.step} steps into {total}: {for_what} step {value}; "
            f"move the end there."
        )
        low, high = (float(np.interp(q, LEVELS, view.later)) for q in (0.05, 0.95))
        scale = max(abs(now), 1e-12)
        expected = Expected((then - now) / scale, (low - now) / scale, (high - now) / scale)
        evidence = {"end": total, "at_end": figure(now), "at_later": figure(then), "gain": round(gain, 4)}
        return self._move_end(group, member, end, value, why, evidence, expected)

    def _move_end(
        self, group: Group, member: Member, end: TunableView, value: int, why: str,
        evidence: Mapping[str, Any], expected: Expected,
    ) -> Proposal:  # fmt: skip
        return Proposal(
            policy=self.name,
            changes=(Change("set", end.name, value),),
            reason=why,
            evidence={"window": window_of(member), **evidence},
            expected=expected,
            metric=group.goal.metric,
            judge_after_steps=max(1, value - member.step),
            run=member.run,
        )

    def _is_spent(self, group: Group) -> bool:
        budget = group.budget
        over = budget.seconds_left is not None and budget.seconds_left <= 0
        return over or (budget.device_hours is not None and budget.spent >= budget.device_hours)

    def _beyond_means(
        self, group: Group, views: Mapping[str, "View"], leader: "View | None", named: set[str]
    ) -> list[Proposal]:
        """Stop the least promising until what is left of the hours, and of the time, suffices for the others."""
        budget = group.budget
        going = [member for member in group.running if member.run not in named]
        need = {member.run: hours_left(member) for member in going}
        hours = math.inf if budget.device_hours is None else budget.device_hours - budget.spent
        # What is not done by the deadline is worth what it is by then; only a deadline that is past ends anything.
        over = budget.seconds_left is not None and budget.seconds_left <= 0
        if sum(need.values()) <= hours and not over:
            return []

        def promise(member: Member) -> float:
            view = views.get(member.run)
            return 0.5 if view is None or leader is None else beats(view, leader, group.goal.direction)

        found = []
        best = leader.member.run if leader is not None else (group.best.run if group.best else "")
        place = {member.run: number for number, member in enumerate(group.ranked())}
        for member in sorted(going, key=lambda m: (promise(m), -place[m.run])):
            if member.run == best:
                continue
            if sum(need.values()) <= hours and not over:
                break
            left = need.pop(member.run)
            spent = f"{budget.spent:.4g} of the experiment's {budget.device_hours} device hours are spent"
            why = (
                "The experiment's deadline is over, and this run is not its best."
                if over
                else f"{spent} and what runs needs {left + sum(need.values()):.3g} more: this is the least promising."
            )
            evidence = {
                "spent": round(budget.spent, 4),
                "budget": budget.device_hours,
                "needs": round(left, 4),
            }
            found.append(stop(self.name, group, member, why, evidence))
        return found


class View:
    """A member with what its curve says of its end: quantiles at LEVELS, and the same for an end further out."""

    def __init__(self, member: Member, values: Any, level: float, later: Any = None) -> None:
        self.member, self.values, self.level, self.later = member, values, level, later

    def interval(self) -> tuple[float, float]:
        return float(np.interp(0.1, LEVELS, self.values)), float(np.interp(0.9, LEVELS, self.values))

    def chance_of(self, target: float, direction: str) -> float:
        return at_least(self.values, target, direction)

    def chance_later(self, target: float, direction: str) -> float:
        return (
            self.chance_of(target, direction)
            if self.later is None
            else at_least(self.later, target, direction)
        )


def at_least(values: Any, target: float, direction: str) -> float:
    below = float(np.interp(target, values, LEVELS))
    return below if direction == "min" else 1 - below


def median_of(values: Any) -> float:
    return float(np.interp(0.5, LEVELS, values))


def settled(level: float) -> Any:
    """The quantiles of what is known but for noise."""
    return level + abs(level) * LEAST_SHARE * (LEVELS - 0.5)


def beats(view: View, leader: View, direction: str) -> float:
    """The chance that one ends better than the other, taken for independent."""
    below = np.interp(leader.values, view.values, LEVELS, left=0.0, right=1.0)
    return float(below.mean() if direction == "min" else 1 - below.mean())


def lead(group: Group, views: Mapping[str, View]) -> View | None:
    """Whose end is foretold to be the best."""
    sign = 1.0 if group.goal.direction == "min" else -1.0
    return min(
        views.values(), key=lambda view: (sign * median_of(view.values), view.member.run), default=None
    )


def last_look(first: int, step: int) -> int | None:
    """The newest of the steps at which a run is looked at: first, and then each eighth more; None before the first."""
    if step < first:
        return None
    return int(first * GROWTH ** int(math.log(step / first) / math.log(GROWTH) + 1e-9))


@lru_cache(maxsize=4096)
def foretold(steps: bytes, values: bytes, end: int, later: int, direction: str) -> Outlook | None:
    """The curve at its end and at one further out. The same curve is asked for at every tick until it has grown."""
    known = np.frombuffer(steps, dtype=np.int64)
    if not len(known) or known[-1] >= end:
        return None
    return outlook(known, np.frombuffer(values, dtype=np.float64), [end, later], direction)


def end_of(member: Member) -> TunableView | None:
    """The control that says where the run ends, if it has one."""
    return None if member.observation is None else member.observation.with_role("total_steps")


def hours_left(member: Member) -> float:
    """Device hours to the run's end at its present pace; 0 where no end is known."""
    if member.total_steps is None or member.step <= 0:
        return 0.0
    return member.device_hours / member.step * max(0, member.total_steps - member.step)


def percent(share: float) -> str:
    return f"{100 * share:.{2 if share < 0.995 else 3}g} %" if share >= 0.001 else "under 0.1 %"
