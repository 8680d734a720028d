"""What is said of a simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .engine import Ended


@dataclass(frozen=True)
class Measures:
    """Times in seconds. finish_time_fairness: Jain's index of completion time over the time alone with an equal share
    (1: all are slowed or sped up alike); utilisation: share of device time between first arrival and last end in which
    work was done."""

    mean_completion: float
    p99_completion: float
    makespan: float
    fairness: float
    utilisation: float
    restarts: float
    jobs: int


def measures(ended: Ended) -> Measures:
    times = np.array([one.completion_seconds for one in ended.outcomes])
    first = min(one.submitted for one in ended.outcomes)
    span = max(one.finished for one in ended.outcomes) - first
    slowed = np.array([one.completion_seconds / one.alone_seconds for one in ended.outcomes])
    return Measures(
        float(times.mean()),
        float(np.quantile(times, 0.99)),
        float(span),
        float(slowed.sum() ** 2 / (len(slowed) * (slowed**2).sum())),
        ended.busy_device_seconds / (span * ended.cluster.devices),
        float(np.mean([one.restarts for one in ended.outcomes])),
        len(times),
    )
