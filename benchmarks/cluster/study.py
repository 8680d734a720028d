"""The same jobs under every scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from .engine import Scheduler, simulate
from .measures import Measures, measures
from .schedulers import ALL
from .workload import Cluster, SimJob, cluster, generated, recorded

FOLDER = Path(__file__).parent / "traces"
TRACES = (FOLDER / "small_team.csv", FOLDER / "philly_night.csv")


@dataclass(frozen=True)
class Case:
    """A cluster and the jobs that a seed brings to it."""

    name: str
    cluster: Cluster
    jobs: Callable[[int], list[SimJob]]


def cases(traces: Sequence[Path] = TRACES) -> list[Case]:
    equal, mixed = cluster("equal"), cluster("mixed")
    return [
        Case("160 jobs in 8 h", equal, lambda seed: generated(seed, 160)),
        Case("320 jobs in 8 h", equal, lambda seed: generated(seed, 320)),
        Case("160 jobs, three kinds", mixed, lambda seed: generated(seed, 160, kinds=tuple(mixed.kinds))),
        *(Case(f"trace {each.stem}", equal, partial(recorded, each)) for each in traces),
    ]


def study(case: Case, seeds: Iterable[int], names: Sequence[str] = tuple(ALL)) -> dict[str, list[Measures]]:
    """Per scheduler the measures of each seed."""
    found: dict[str, list[Measures]] = {name: [] for name in names}
    for seed in seeds:
        jobs = case.jobs(seed)
        for name in names:
            maker: Callable[[], Scheduler] = ALL[name]
            found[name].append(measures(simulate(jobs, case.cluster, maker(), seed)))
    return found


def mean(found: Sequence[Measures], name: str) -> float:
    return float(np.mean([getattr(one, name) for one in found]))


def ahead(found: dict[str, list[Measures]], ours: str = "ours") -> tuple[str, float, int]:
    """(the best other scheduler by mean completion, ours over it, seeds in which ours was ahead of it)."""
    other = min(
        (name for name in found if name != ours), key=lambda name: mean(found[name], "mean_completion")
    )
    pairs = zip(found[ours], found[other], strict=True)
    wins = sum(a.mean_completion < b.mean_completion for a, b in pairs)
    return other, mean(found[ours], "mean_completion") / mean(found[other], "mean_completion"), wins
