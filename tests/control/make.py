"""Observations to ask policies about, in few words."""

import numpy as np

from control.proposals import (
    CheckpointView,
    Goal,
    Observation,
    PastDecision,
    TunableView,
    Window,
)


def a_rate(value=0.1, **fields) -> TunableView:
    fields = {"low": 1e-6, "high": 1.0, "scale": "log", "role": "learning_rate"} | fields
    return TunableView("lr", "float", value, value, **fields)


def a_window(values, first_step=0, stride=1) -> Window:
    steps = first_step + stride * np.arange(len(values))
    return Window.of(steps, steps * 0.03, values)


def seen(loss, *, policy=None, rate=None, first_step=0, stride=1, **fields) -> Observation:
    """The observation of a run with this loss; `policy`: whose defaults to put in place."""
    windows = {"loss": a_window(loss, first_step, stride)} | fields.pop("windows", {})
    rate = a_rate() if rate is None else rate
    parameters = ({} if policy is None else dict(policy.defaults)) | fields.pop("parameters", {})
    fields = {
        "step": int(windows["loss"].steps[-1]) if len(loss) else 0,
        "tunables": {rate.name: rate},
        "goal": Goal("loss", "min"),
    } | fields
    return Observation(run="abc", windows=windows, parameters=parameters, **fields)


def a_past(**fields) -> PastDecision:
    fields = {
        "id": 1, "policy": "learning_rate", "state": "judged", "verb": "set", "tunable": "lr",
        "old_value": 0.1, "new_value": 0.3, "decided_step": 100, "judge_at_step": 200, "applied_step": 100,
    } | fields  # fmt: skip
    return PastDecision(**fields)


def a_checkpoint(step, number=None, **fields) -> CheckpointView:
    return CheckpointView(step + 1 if number is None else number, step, **fields)


def noisy(mean, sigma, seed=0):
    """`mean` times log-normal noise of this sigma, as losses scatter."""
    return np.asarray(mean) * np.exp(sigma * np.random.default_rng(seed).standard_normal(len(mean)))


def a_count(name, value, **fields) -> TunableView:
    """A whole-number setting whose role is its name."""
    fields = {"initial": value, "low": 1, "high": 1024, "scale": "log", "role": name} | fields
    return TunableView(name, "int", value, **fields)


def named(*tunables):
    return {tunable.name: tunable for tunable in tunables}
