"""The search of a grid by group policies as production runs them: ask, guards, stop; over curves or live nets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from control.base import AnyPolicy
from control.decide import consider, directly
from control.groups import Adoption, Group, Member, Seen, ask, curve_of
from control.guards import Limits
from control.policies.asha import Asha
from control.policies.budget import Budget
from control.policies.population import Population
from control.proposals import CheckpointView, Goal, Observation, TunableView

from .many import Many, Setting


@dataclass(frozen=True)
class Found:
    """steps: trained in all runs together. pick: the number of the setting that ended best. loss: where it ended."""

    steps: int
    pick: int
    loss: float
    stopped: int = 0


def member_of(
    number: int, steps: Sequence[int], values: Sequence[float], total: int, **fields: Any
) -> Member:
    at = steps[-1]
    end = TunableView("total_steps", "int", total, total, 1, 10 * total, role="total_steps")
    tunables = {"total_steps": end, **fields.pop("tunables", {})}
    seen = Observation(
        run=str(number),
        step=at,
        goal=Goal("loss"),
        tunables=tunables,
        checkpoints=fields.pop("checkpoints", ()),
    )
    curve = curve_of(np.asarray(steps, dtype=np.int64), np.asarray(values, dtype=np.float64))
    state = "running" if at < total else "finished"
    return Member(str(number), state, at, curve, total_steps=total, observation=seen, **fields)


def by_stopping(steps: np.ndarray, rows: np.ndarray, settings: dict[str, dict[str, Any]]) -> Found:
    """All settings side by side, with a look at each measurement; a stopped one trains no further.

    steps: (points,), rows: (settings, points) losses.
    """
    policies: tuple[AnyPolicy, ...] = (Budget(), Asha())
    total = int(steps[-1])
    reached = dict.fromkeys(range(len(rows)), len(steps))  # setting: how many of its points it got
    going = set(reached)
    for point in range(1, len(steps)):
        members = []
        for number in reached:
            known = min(point, reached[number])
            member = member_of(number, steps[:known].tolist(), rows[number, :known].tolist(), total)
            members.append(member if number in going else replace(member, state="stopped", observation=None))
        group = Group("grid", Goal("loss"), tuple(members))
        asked, problems = ask(group, policies, settings)  # type: ignore[arg-type]
        assert not problems, problems
        standings = group.standings()
        for member in group.running:
            assert member.observation is not None
            seen = replace(member.observation, standing=standings.get(member.run))
            how = Seen(None, asked.get(member.run, ())).asking(directly)
            considered, _ = consider(seen, policies, settings, Limits(least_steps=0), ask=how)
            if any(c.refusal is None and c.proposal.verb == "stop" for c in considered):
                reached[int(member.run)] = point
                going.discard(int(member.run))
    pick = min(going, key=lambda number: rows[number, -1])
    trained = sum(int(steps[points - 1]) for points in reached.values())
    return Found(trained, pick, float(rows[pick, -1]), len(rows) - len(going))


def drawn(count: int, size: int, seed: int) -> list[int]:
    """The numbers of so many of the grid's settings, none twice."""
    return [int(number) for number in np.random.default_rng(seed).choice(count, size, replace=False)]


def of_a_few(numbers: Sequence[int], ends: Sequence[float], steps: int) -> Found:
    """Trainings that began with these settings: the one that ended best.

    ends: the loss each of them ended at, not finite where it broke down.
    """
    told = [end if math.isfinite(end) else math.inf for end in ends]
    best = int(np.argmin(told))
    return Found(len(numbers) * steps, numbers[best], told[best])


def by_population(grid: Sequence[Setting], seed: int, size: int, steps: int, every: int) -> Found:
    """A population of live nets that begins with settings drawn from the grid; each look is a chance to take over."""
    chosen = [grid[number] for number in drawn(len(grid), size, seed)]
    nets = Many(chosen, seed)
    policy = Population()
    asked_for = {
        "population": {"enabled": True, "ready_steps": steps // 10, "least_runs": 2, "quantile": 1 / size}
    }
    losses: list[list[float]] = [[] for _ in range(size)]
    adoptions: list[tuple[Adoption, ...]] = [()] * size
    at: list[int] = []
    for _ in range(0, steps, every):
        nets.train(every)
        at.append(nets.step)
        for row, loss in zip(losses, nets.held_out(), strict=True):
            row.append(float(loss))
        rates = [
            TunableView("lr", "float", s.rate, None, 1e-6, 10.0, "log", role="learning_rate")
            for s in nets.settings
        ]
        members = [
            member_of(
                number, at, losses[number], steps + 1, tunables={"lr": rates[number]}, adoptions=adoptions[number],
                checkpoints=(CheckpointView(1 + number, nets.step, path=f"net {number}"),),
            )
            for number in range(size)
        ]  # fmt: skip
        asked, problems = ask(Group("grid", Goal("loss"), tuple(members)), [policy], asked_for)
        assert not problems, problems
        for run, wanted in asked.items():
            taker, changes = int(run), wanted[0].changes
            giver = int(changes[0].value["run"])
            nets.adopt(taker, giver)
            rate = next((c.value for c in changes if c.verb == "set"), nets.settings[taker].rate)
            moved = list(nets.settings)
            moved[taker] = replace(nets.settings[giver], rate=rate)
            nets.set(moved)
            adoptions[taker] = (*adoptions[taker], Adoption(nets.step, str(giver), nets.step))
    ends = [row[-1] if math.isfinite(row[-1]) else math.inf for row in losses]
    pick = int(np.argmin(ends))
    return Found(size * steps, pick, ends[pick])
