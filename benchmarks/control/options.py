"""What a run of the benchmark was asked for, and the trials that its rows share."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import get_context

from .trial import Outcome, Trial, run
from .workload import BUILT_IN, Workload, load

REPORT_SEEDS = tuple(range(1, 11))
FACTORS = (0.01, 1 / 30, 0.1, 10.0, 30.0, 100.0)  # of the best fixed rate: the starts


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Options:
    """seeds: those of the trials, paired between methods. quick: fewer starts and rates, for a first look."""

    seeds: tuple[int, ...] = REPORT_SEEDS
    names: tuple[str, ...] = BUILT_IN
    jobs: int = 0
    quick: bool = False
    memo: dict[Trial, Outcome] = field(default_factory=dict)

    @cached_property
    def workloads(self) -> list[Workload]:
        return [load(name) for name in self.names]

    @property
    def factors(self) -> Sequence[float]:
        return FACTORS[::2] if self.quick else FACTORS

    def run(self, trials: Iterable[Trial]) -> list[Outcome]:
        """The outcomes in the order asked for; a trial that another row has run is not run again."""
        wanted = list(trials)
        fresh = [trial for trial in dict.fromkeys(wanted) if trial not in self.memo]
        # The longest first: no core waits for a straggler at the end.
        fresh.sort(key=lambda trial: -trial.most)
        for trial, outcome in zip(fresh, self.pool.map(run, fresh), strict=True):
            self.memo[trial] = outcome
        return [self.memo[trial] for trial in wanted]

    @cached_property
    def pool(self) -> ProcessPoolExecutor:
        # Each trial is one thread: so many at once as there are cores, and none waits for another.
        os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        return ProcessPoolExecutor(self.jobs or cores(), mp_context=get_context("spawn"))
