"""Groups of runs to ask group policies about, in few words."""

from dataclasses import replace

import numpy as np

from control.groups import Budget, Group, Member, curve_of
from control.proposals import CheckpointView, Goal, Observation, TunableView


def a_member(run, values, *, total=None, state="running", rate=0.1, step=None, checkpoints=(), **fields):
    """A run whose metric was `values` at steps 1, 2, 3…; total: its control total_steps."""
    values = np.asarray(values, dtype=np.float64)
    step = len(values) if step is None else step
    tunables = {"lr": TunableView("lr", "float", rate, rate, 1e-6, 10.0, "log", role="learning_rate")}
    if total is not None:
        tunables["total_steps"] = TunableView(
            "total_steps", "int", total, total, 1, 10 * total, role="total_steps"
        )
    observation = Observation(run=run, step=step, tunables=tunables, checkpoints=tuple(checkpoints))
    return Member(
        run=run,
        state=state,
        step=step,
        curve=curve_of(np.arange(1, len(values) + 1), values),
        total_steps=total,
        observation=observation if state == "running" else None,
        **fields,
    )


def a_group(*members, policy=None, direction="min", target=None, budget=None, **parameters):
    defaults = {} if policy is None else dict(policy.defaults)
    return Group(
        "e", Goal("loss", direction, target), tuple(members), budget or Budget(), {**defaults, **parameters}
    )


def falling(steps, floor=0.1, speed=0.02, noise=0.02, seed=0):
    """A loss that falls from 2.3 to a floor."""
    dice = np.random.default_rng(seed)
    at = np.arange(1, steps + 1)
    return (floor + (2.3 - floor) * np.exp(-speed * at)) * np.exp(noise * dice.standard_normal(steps))


def a_saved(run, step):
    return CheckpointView(hash(run) % 1000 + step, step, path=f"/c/{run}/{step}")


def verbs(proposals):
    """{run: what is asked of it}"""
    return {p.run: " ".join(c.verb for c in p.changes) for p in proposals}


def with_parameters(group, **parameters):
    return replace(group, parameters={**group.parameters, **parameters})
