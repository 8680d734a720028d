"""Asynchronous successive halving over the runs of an experiment: at each rung only the best third goes on.

Sees: the goal's metric of all runs at the rungs first_steps, first_steps x reduction, x reduction^2 … Does: stop a run
that has passed a rung at which it is not among the best 1/reduction of those that reached it.
Source: Li et al. 2020, MLSys, "A system for massively parallel hyperparameter tuning", arXiv 1810.05934. There a run
waits at its rung to be promoted; here it trains on and is stopped when enough others have shown to be better.
"""

from collections.abc import Mapping
from typing import Any

from control.groups import STOPS_WHERE_ALLOWED, Group, Member, figure, of_each, stop
from control.proposals import Proposal


class Asha:
    name = "asha"
    summary = "Stops a run that is not among the best third of those that came as far (successive halving)."
    defaults: Mapping[str, Any] = {
        **STOPS_WHERE_ALLOWED,
        "first_steps": 100,
        "reduction": 3.0,
    }

    def propose_group(self, group: Group) -> list[Proposal]:
        first = int(group.parameters["first_steps"])
        factor = max(1.5, float(group.parameters["reduction"]))
        return of_each(group, lambda member: self._look(group, member, first, factor))

    def _look(self, group: Group, member: Member, first: int, factor: float) -> Proposal | None:
        for rung in reversed(rungs(first, factor, member.step)):
            reached = [
                other for other in group.members if other.step >= rung and len(other.curve.until(rung))
            ]
            if len(reached) < factor:
                continue
            mine = member.level_at(rung)
            ahead = sum(
                group.is_better(other.level_at(rung), mine) for other in reached if other is not member
            )
            kept = max(1, int(len(reached) / factor))
            if ahead < kept:
                continue
            why = (
                f"At step {rung} {group.goal.metric} was {mine:.4g}: {ahead} of the {len(reached)} runs that came "
                f"so far were better, and the best {kept} go on."
            )
            return stop(
                self.name, group, member, why,
                {"rung": rung, "value": figure(mine), "better": ahead, "reached": len(reached), "kept": kept},
            )  # fmt: skip
        return None


def rungs(first: int, factor: float, step: int) -> list[int]:
    """The rungs that a run at `step` has passed, in order."""
    found: list[int] = []
    rung = float(max(1, first))
    while rung <= step:
        found.append(int(rung))
        rung *= factor
    return found
