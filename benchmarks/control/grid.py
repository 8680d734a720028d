"""The best fixed rate of each workload, found by trying them all: what every start is measured against."""

import math
from dataclasses import dataclass

import numpy as np

from .options import Options
from .trial import Outcome, Trial
from .workload import Workload

RATES = 13  # a grid over the workload's range, even on a log scale
MOST = 2000  # steps after which a fixed rate is given up


@dataclass(frozen=True)
class Best:
    """rate: the one with the least mean logarithm of steps; steps: by seed, and their geometric mean `typical`."""

    workload: Workload
    rate: float
    steps: dict[int, int]
    typical: float
    tried: dict[float, float]  # rate: geometric mean of steps, given-up runs counted as MOST
    outcomes: dict[int, Outcome]

    @property
    def patience(self) -> int:
        """Three times the steps of the best fixed rate: who is not there by then has not reached it."""
        return math.ceil(3 * self.typical)


def best_fixed(options: Options) -> list[Best]:
    """One for each workload, over the options' seeds."""
    rates = {
        workload.name: grid_of(workload, 7 if options.quick else RATES) for workload in options.workloads
    }
    options.run(
        Trial(workload.where, seed, rate, MOST)
        for workload in options.workloads for rate in rates[workload.name] for seed in options.seeds
    )  # fmt: skip
    found = []
    for workload in options.workloads:
        tried: dict[float, float] = {}
        outcomes: dict[float, list[Outcome]] = {}
        for rate in rates[workload.name]:
            outcomes[rate] = options.run(Trial(workload.where, seed, rate, MOST) for seed in options.seeds)
            tried[rate] = geometric_mean([each.reached or MOST for each in outcomes[rate]])
        rate = min(tried, key=lambda each: tried[each])
        mine = dict(zip(options.seeds, outcomes[rate], strict=True))
        steps = {seed: each.reached or MOST for seed, each in mine.items()}
        found.append(Best(workload, rate, steps, tried[rate], tried, mine))
    return found


def grid_of(workload: Workload, count: int) -> list[float]:
    return [float(f"{rate:.3g}") for rate in np.geomspace(*workload.rates, count)]


def geometric_mean(values: list[float] | list[int]) -> float:
    return math.exp(math.fsum(math.log(value) for value in values) / len(values))
