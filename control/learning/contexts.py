"""In what kind of moment a decision is made: optimiser, phase of the run, noise of its loss, how often the run was
changed before and its learning rate moved, and the model where told.

Coarse on purpose. A verdict is dear, and three times three classes an optimiser are filled by some dozens of runs.
What stands behind these three only refines: what is known of the moment in any run stands in until it has verdicts of
its own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from control.estimators.median import median
from control.estimators.trend import robust_sigma, tame
from control.proposals import ACTED_STATES, Floats, Observation, TunableView, Window

FAMILIES = (
    ("adam", ("adam", "nadam", "radam", "lion", "adafactor")),
    ("layerwise", ("lars", "lamb")),
    ("sgd", ("sgd", "momentum", "nesterov")),
)
MODELS = frozenset({"attention", "recurrent", "convolutional", "dense", "other"})
GENERAL = 3  # parts of a context that every run has
# Points of the newest part that noise and phase are read from.
RECENT = 150
START_POINTS = 150
CALM, WILD = 0.05, 0.2


@dataclass(frozen=True)
class Context:
    """What tells kinds of moments apart: as text, `sgd, middle, calm`, or `sgd, middle, calm, changed, dense, 10k+`.

    The size that is right at first is wrong once it was done, so a run that was changed is another moment, and one
    whose rate stands ten times higher than it began another again.
    """

    family: str  # adam, layerwise, sgd, other, unknown
    phase: str  # start, middle, late
    noise: str  # calm, noisy, wild, unknown
    changed: str = ""  # "" as it began, changed, changed again
    moved: str = ""  # how far the learning rate is from where it began: "rate x10", "" where it is there
    model: str = ""  # attention, recurrent, convolutional, dense, other; "" where nobody told
    size: str = ""  # the decade of its parameters, by its lower bound: 10k+

    def __str__(self) -> str:
        parts = [self.family, self.phase, self.noise, *filter(None, (self.changed, self.moved))]
        if self.model or self.size:
            parts.append(self.model or "other")
        return ", ".join([*parts, self.size] if self.size else parts)


def levels_of(context: str) -> tuple[str, ...]:
    """The context from the most general to itself: without its model, with the model's kind, with its size too."""
    parts = context.split(", ")
    return tuple(", ".join(parts[:count]) for count in range(min(GENERAL, len(parts)), len(parts) + 1))


def context_of(observation: Observation) -> Context:
    metric = observation.loss_metric() or observation.goal.metric
    window = observation.windows.get(metric)
    rate = observation.with_role("learning_rate")
    told: Mapping[str, Any] = {} if rate is None else rate.about
    return Context(
        family_of(observation.optimiser or str(told.get("optimizer") or "").lower()),
        phase_of(observation, window),
        noise_of(window),
        changed_of(observation),
        moved_of(rate),
        model_of(told.get("model")),
        size_of(told.get("parameters")),
    )


def changed_of(observation: Observation) -> str:
    """How often decisions changed this run before, those that were taken back too: what was tried is known."""
    times = sum(past.state in ACTED_STATES and past.mode != "shadow" for past in observation.past)
    return ("", "changed", "changed again")[min(times, 2)]


def moved_of(rate: TunableView | None) -> str:
    """How far the learning rate is from where it began, to the nearest half decade: rate x3, rate /10.

    What a training was started with is of its kind, and so is how much it lacks; which of it was done, and stayed,
    the number of changes does not tell.
    """
    if rate is None or not is_rate(rate.initial) or not is_rate(rate.value):
        return ""
    halves = round(2 * math.log10(rate.value / rate.initial))
    if not halves:
        return ""
    factor = 10 ** (abs(halves) // 2) * (3 if halves % 2 else 1)
    return f"rate {'x' if halves > 0 else '/'}{factor}"


def is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def model_of(told: Any) -> str:
    """The kind of model as it was told; what is none of those known is "other", however a script put it."""
    if not told:
        return ""
    return told if isinstance(told, str) and told in MODELS else "other"


def size_of(parameters: Any) -> str:
    """The decade of a count of parameters: 1k+, 10k+, …; "" where there is no sensible one."""
    if isinstance(parameters, bool) or not isinstance(parameters, int | float):
        return ""
    if not 1 <= parameters < 1e15:
        return ""
    decade = len(str(int(parameters))) - 1
    return f"{10 ** (decade % 3)}{('', 'k', 'M', 'G', 'T')[decade // 3]}+"


def family_of(optimiser: str) -> str:
    """The family of an optimiser by its name, "unknown" where the run tells none."""
    if not optimiser:
        return "unknown"
    # The layer-wise ones first: LAMB and its like have no "adam" in their names, but the reverse is not sure.
    for family, names in (FAMILIES[1], FAMILIES[0], FAMILIES[2]):
        if any(name in optimiser for name in names):
            return family
    return "other"


def phase_of(observation: Observation, window: Window | None) -> str:
    """By the share of the planned steps where the run declares a tunable of role total_steps, else by its curve.

    A curve is at its start until it has 150 points, and late once its newer half brought less than a tenth of the
    whole fall.
    """
    total = observation.with_role("total_steps")
    if total is not None and isinstance(total.value, int | float) and total.value > 0:
        done = observation.step / float(total.value)
        return "start" if done < 0.1 else "middle" if done < 0.6 else "late"
    if window is None or len(window) < START_POINTS:
        return "start"
    values = _levels(window)
    if len(values) < 30:
        return "start"
    block = min(30, len(values) // 5)
    halves = values[:block], values[len(values) // 2 :][:block], values[-block:]
    first, half, last = map(median, halves)
    whole = abs(first - last)
    # What chance alone moves a median of so many points by, twice.
    chance = 2 * 1.2533 * neighbours_sigma(values) / np.sqrt(block)
    return "late" if abs(half - last) < max(0.1 * whole, chance, 1e-9) else "middle"


def noise_of(window: Window | None) -> str:
    """How far neighbours differ in the newest part: a ratio where the metric is positive, else by its spread."""
    if window is None:
        return "unknown"
    values = _levels(window.last(RECENT))
    if len(values) < 20:
        return "unknown"
    sigma = neighbours_sigma(values)
    return "calm" if sigma < CALM else "noisy" if sigma < WILD else "wild"


def neighbours_sigma(values: Floats) -> float:
    """The noise by differences of neighbours: a trend takes no part in them, and a wild point spoils only two."""
    return robust_sigma(np.diff(values)) / float(np.sqrt(2))


def _levels(window: Window) -> Floats:
    values = tame(window.values[np.isfinite(window.values)])
    if len(values) and values.min() > 0:
        return np.asarray(np.log(values), dtype=np.float64)
    return values / max(robust_sigma(values), 1e-12)
