"""What a job would make of every kind and number of devices, from what it was measured at so far.

A kind that it never ran on is guessed from one that it did, by how the kinds compare in general (Sia, section 3.3, does
the same until it has measured); a job that never ran anywhere gets the priors' shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .goodput import Goodput
from .throughput import Measured, Throughput, fit


@dataclass(frozen=True)
class Profile:
    """A job's measurements per kind of device, and what it says of its batches (see `Goodput`)."""

    measured: Mapping[str, Sequence[Measured]] = field(default_factory=dict)
    base_batch: float = 1.0
    noise_scale: float | None = None
    largest_batch: float = 0.0
    largest_micro_batch: float = float("inf")
    adapts: bool = False

    @property
    def known(self) -> bool:
        return any(self.measured.values())


def throughputs(profile: Profile, speeds: Mapping[str, float]) -> dict[str, Throughput]:
    """A model for each kind. speeds: how fast a device of each kind computes, in any one unit."""
    fitted = {kind: fit(found) for kind, found in profile.measured.items() if found}
    if not fitted:
        # A second a step at the base batch: only ratios mean something.
        guess = fit([Measured(1, max(profile.base_batch, 1.0), 1.0)])
        fastest = max(speeds.values(), default=1.0)
        return {kind: scaled(guess, fastest / speed) for kind, speed in speeds.items()}
    best = max(sorted(fitted), key=lambda kind: sum(m.weight for m in profile.measured[kind]))
    return {
        kind: fitted[kind]
        if kind in fitted
        else scaled(fitted[best], speeds.get(best, 1.0) / speed if speed > 0 else 1.0)
        for kind, speed in speeds.items()
    } | {kind: found for kind, found in fitted.items() if kind not in speeds}


def scaled(model: Throughput, factor: float) -> Throughput:
    """The model of devices that take `factor` times as long to compute; synchronisation stays."""
    theta = list(model.theta)
    theta[0] += float(np.log(factor))
    theta[1] += float(np.log(factor))
    return Throughput(tuple(theta), model.spread, ())


def goodputs(profile: Profile, speeds: Mapping[str, float]) -> dict[str, Goodput]:
    return {
        kind: Goodput(
            model,
            profile.base_batch,
            profile.noise_scale,
            profile.largest_batch,
            profile.largest_micro_batch,
            profile.adapts,
        )
        for kind, model in throughputs(profile, speeds).items()
    }


def nodes_for(counts: Sequence[int], node_devices: int) -> list[int]:
    """On how many nodes so many devices are, at the least."""
    return [max(1, -(-count // max(1, node_devices))) for count in counts]
