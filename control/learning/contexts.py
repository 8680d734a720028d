"""In what kind of moment a decision is made: optimiser, phase of the run, noise of its loss.

Coarse on purpose. A verdict is dear, and three times three classes an optimiser are filled by some dozens of runs.
"""

from dataclasses import dataclass

import numpy as np

from control.estimators.median import median
from control.estimators.trend import robust_sigma, tame
from control.proposals import Floats, Observation, Window

FAMILIES = (
    ("adam", ("adam", "nadam", "radam", "lion", "adafactor")),
    ("layerwise", ("lars", "lamb")),
    ("sgd", ("sgd", "momentum", "nesterov")),
)
# Points of the newest part that noise and phase are read from.
RECENT = 150
START_POINTS = 150
CALM, WILD = 0.05, 0.2


@dataclass(frozen=True)
class Context:
    """What tells kinds of moments apart: as text, `sgd, middle, calm`."""

    family: str  # adam, layerwise, sgd, other, unknown
    phase: str  # start, middle, late
    noise: str  # calm, noisy, wild, unknown

    def __str__(self) -> str:
        return f"{self.family}, {self.phase}, {self.noise}"


def context_of(observation: Observation) -> Context:
    metric = observation.loss_metric() or observation.goal.metric
    window = observation.windows.get(metric)
    return Context(family_of(observation.optimiser), phase_of(observation, window), noise_of(window))


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
