"""The median rule: a run whose best so far is worse than what half of the others were on average by then is stopped.

Sees: the goal's metric of all runs up to a run's step. Does: stop it when its best value up to there is worse than
the median of the running averages of the others that came as far.
Source: Golovin et al. 2017, KDD, "Google Vizier: a service for black-box optimization", 3.2.2. There the others are
completed trials; here running ones that have come as far count too, as in a group that begins together.
Limits: it assumes nothing about a curve's form. Who was stopped counts no more at later steps, so that of what is left
half may be stopped again.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from control.estimators.median import median
from control.groups import STOPS_WHERE_ALLOWED, Group, Member, figure, of_each, stop
from control.proposals import Proposal


class MedianStopping:
    name = "median_stopping"
    summary = "Stops a run whose best is worse than the median of the others' averages at the same step."
    defaults: Mapping[str, Any] = {
        **STOPS_WHERE_ALLOWED,
        "grace_steps": 200,
        "least_runs": 5,
    }

    def propose_group(self, group: Group) -> list[Proposal]:
        grace, least = int(group.parameters["grace_steps"]), int(group.parameters["least_runs"])
        return of_each(group, lambda member: self._look(group, member, least), grace)

    def _look(self, group: Group, member: Member, least: int) -> Proposal | None:
        step = member.step
        others = [other for other in group.members if other is not member and other.step >= step]
        averages = np.asarray([average(other, step) for other in others])
        averages = averages[~np.isnan(averages)]
        if len(averages) < least:
            return None
        middle = median(averages)
        mine = best_of(member, group.goal.direction)
        if not group.is_better(middle, mine):
            return None
        shown = "no number" if np.isnan(mine) else f"{mine:.4g}"
        why = (
            f"The best {group.goal.metric} up to step {step} is {shown}; half of the {len(averages)} other runs "
            f"averaged {middle:.4g} or better by then."
        )
        return stop(
            self.name, group, member, why,
            {"value": figure(mine), "median": figure(middle), "others": len(averages)},
        )  # fmt: skip


def average(member: Member, step: int) -> float:
    values = member.curve.until(step).values
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def best_of(member: Member, direction: str) -> float:
    finite = member.curve.values[np.isfinite(member.curve.values)]
    if not len(finite):
        return float("nan")
    return float(finite.max() if direction == "max" else finite.min())
