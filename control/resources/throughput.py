"""How long an optimiser step takes on so many devices, fitted to what a job was measured at.

Source: Qiao et al. 2021 (Pollux, OSDI, arXiv 2008.12260), section 3.2: gradient time linear in the micro-batch,
synchronisation time linear in the devices beyond two and dearer across nodes, and an overlap of the two between none
(gamma 1) and full (gamma large). What was never measured is held by priors, so a job that ran on one device only
has an opinion about eight, and says how sure it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

PARAMETERS = ("gradient_fixed", "gradient_per_sample", "sync_local", "sync_local_per_device", "sync_nodes",
              "sync_nodes_per_device", "overlap")  # fmt: skip
GAMMA_MOST = 10.0
# A step's time repeats within about this ratio; what lies further off counts less and less (Huber).
MEASURED_SPREAD = 0.05
HUBER = 2.0
# Before anything is known: synchronisation as a share of a step on one device, and how unsure that is (one
# standard deviation of its logarithm: a factor of four either way).
PRIOR_SHARES = (0.04, 0.002, 0.12, 0.004)
PRIOR_SPREAD = 1.4
PRIOR_OVERLAP = -2.0  # the logit of a gamma of 2.1
# Of a step at the only micro-batch that was measured, this share is taken as independent of it.
FIXED_SHARE = 0.3
MOST_ROUNDS = 40


@dataclass(frozen=True)
class Measured:
    """A step's time under one setting: the median over a stretch of steps.

    devices over nodes; micro_batch: samples a device works on at once; accumulation: how many such before the
    optimiser's step, at least 1. weight: how many stretches stand behind it.
    """

    devices: int
    micro_batch: float
    step_seconds: float
    nodes: int = 1
    accumulation: int = 1
    weight: float = 1.0


@dataclass(frozen=True)
class Throughput:
    """A fitted model. `theta`: logarithms of the six times in seconds, then the overlap's logit.

    spread: per parameter, one standard deviation of it given the measurements and priors.
    """

    theta: tuple[float, ...]
    spread: tuple[float, ...]
    measured_devices: tuple[int, ...] = ()

    def step_seconds(self, devices: Any, micro_batch: Any, accumulation: Any = 1, nodes: Any = 1) -> Floats:
        """Seconds of an optimiser step; arguments broadcast."""
        return predicted(np.array(self.theta), devices, micro_batch, accumulation, nodes)

    def as_json(self) -> dict[str, Any]:
        values = [float(v) for v in np.exp(self.theta[:6])] + [float(gamma_of(np.array(self.theta[6])))]
        return {
            "parameters": dict(zip(PARAMETERS, values, strict=True)),
            "spread": dict(zip(PARAMETERS, map(float, self.spread), strict=True)),
            "measured_devices": list(self.measured_devices),
        }


def predicted(
    theta: npt.NDArray[np.float64], devices: Any, micro_batch: Any, accumulation: Any, nodes: Any
) -> Floats:
    """Seconds of a step. theta: shape (7,), or (7, 1) columns against settings of shape (n,)."""
    fixed, sample, local, local_more, across, across_more = np.exp(theta[:6])
    gamma = gamma_of(theta[6])
    devices = np.asarray(devices, dtype=np.float64)
    gradient = fixed + sample * micro_batch
    beyond = np.maximum(devices - 2, 0)
    sync = np.where(np.asarray(nodes) > 1, across + across_more * beyond, local + local_more * beyond)
    sync = np.where(devices > 1, sync, 0.0)
    # Scaled by the larger of the two: a power of ten of a long step would not fit.
    larger = np.maximum(gradient, sync)
    together: Floats = larger * ((gradient / larger) ** gamma + (sync / larger) ** gamma) ** (1 / gamma)
    result: Floats = (np.asarray(accumulation) - 1) * gradient + together
    return result


def gamma_of(logit: Any) -> Any:
    return 1 + (GAMMA_MOST - 1) / (1 + np.exp(-logit))


def fit(measured: Sequence[Measured]) -> Throughput:
    """The model closest to the measurements, by robust least squares of logarithms with the priors above.

    Raises ValueError for none, and for times, batches or counts that cannot be.
    """
    if not measured:
        raise ValueError("no measurement to fit a throughput model to; expected at least one step time")
    for m in measured:
        if not (m.step_seconds > 0 and np.isfinite(m.step_seconds) and m.micro_batch > 0 and m.devices >= 1):
            raise ValueError(
                f"{m} cannot be: expected a finite step time above 0, a micro-batch above 0, devices >= 1"
            )
    devices = np.array([m.devices for m in measured], dtype=np.float64)
    nodes = np.array([m.nodes for m in measured], dtype=np.float64)
    micro = np.array([m.micro_batch for m in measured], dtype=np.float64)
    steps = np.array([m.accumulation for m in measured], dtype=np.float64)
    wanted = np.log([m.step_seconds for m in measured])
    weight = np.sqrt([m.weight for m in measured]) / MEASURED_SPREAD
    prior, spread = prior_of(devices, micro, steps, np.exp(wanted))
    theta = prior.copy()
    damping = 1e-3
    jitter = np.concatenate([np.zeros((7, 1)), 1e-5 * np.eye(7)], axis=1)  # one column as it is, seven moved
    cost, residual, slope = look(theta, jitter, devices, nodes, micro, steps, wanted, weight, prior, spread)
    for _ in range(MOST_ROUNDS):
        square = slope.T @ slope
        step = np.linalg.solve(square + damping * np.diag(np.diag(square)), -slope.T @ residual)
        moved = theta + np.clip(step, -2, 2)
        fresh = look(moved, jitter, devices, nodes, micro, steps, wanted, weight, prior, spread)
        if fresh[0] < cost:
            gained = cost - fresh[0]
            theta, (cost, residual, slope) = moved, fresh
            damping = max(damping / 5, 1e-9)
            if gained < 1e-6 * (1 + cost):
                break
        else:
            damping *= 10
            if damping > 1e6:
                break
    sure = np.sqrt(np.diag(np.linalg.inv(slope.T @ slope)))
    return Throughput(
        tuple(float(value) for value in theta),
        tuple(float(value) for value in sure),
        tuple(sorted({m.devices for m in measured})),
    )


def prior_of(devices: Floats, micro: Floats, steps: Floats, seconds: Floats) -> tuple[Floats, Floats]:
    """(means, spreads) of theta before the measurements, scaled by the job's own gradient time."""
    fewest = devices == devices.min()
    gradient = float(np.median(seconds[fewest] / steps[fewest]))
    batch = float(np.median(micro[fewest]))
    times = [FIXED_SHARE * gradient, (1 - FIXED_SHARE) * gradient / batch]
    times += [share * gradient for share in PRIOR_SHARES]
    means = np.array([*np.log(times), PRIOR_OVERLAP])
    return means, np.array([1.0, 1.0, *[PRIOR_SPREAD] * 4, 1.0])


def look(
    theta: Floats, jitter: Floats, devices: Floats, nodes: Floats, micro: Floats, steps: Floats,
    wanted: Floats, weight: Floats, prior: Floats, spread: Floats,
) -> tuple[float, Floats, Floats]:  # fmt: skip
    """(cost, residuals, their slopes) at theta; measurements far off are weighed down as Huber's loss does."""
    columns = (theta[:, None] + jitter)[:, :, None]  # (7, 8, 1): settings broadcast behind
    logs = np.log(predicted(columns, devices, micro, steps, nodes))  # (8, n)
    raw = weight * (logs[0] - wanted)
    far = np.maximum(np.abs(raw), 1e-12)
    # The square root of Huber's loss, so that the sum of squares is the loss itself.
    beyond = np.sqrt(np.maximum(2 * HUBER * far - HUBER**2, far**2 * (far <= HUBER)))
    shrunk = np.sign(raw) * beyond
    factor = np.where(far <= HUBER, 1.0, HUBER / np.maximum(beyond, 1e-12))
    slope = factor[:, None] * weight[:, None] * (logs[1:] - logs[0]).T / 1e-5
    residual = np.concatenate([shrunk, (theta - prior) / spread])
    return float(residual @ residual), residual, np.concatenate([slope, np.diag(1 / spread)])
