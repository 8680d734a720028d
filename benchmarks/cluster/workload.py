"""Jobs as they come to a cluster: generated, or read from a file.

Lengths and gang sizes are as in Philly (Jeon et al. 2019, arXiv 1901.05758): three quarters need less than a device
hour, two in a hundred over a hundred; most ask for one device. Arrivals rise and fall with the day. How a job scales is
drawn per job; a scheduler sees it only by measurements that carry noise.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from control.resources.goodput import Goodput
from control.resources.throughput import Throughput

DAY = 86_400.0
# (share of jobs, device hours from, to, (devices asked for, share)…): categories as in Pollux, section 5.1.
LENGTHS: tuple[tuple[float, float, float, tuple[tuple[int, float], ...]], ...] = (
    (0.72, 0.02, 1.0, ((1, 0.70), (2, 0.15), (4, 0.10), (8, 0.05))),
    (0.20, 1.0, 10.0, ((1, 0.30), (2, 0.30), (4, 0.30), (8, 0.10))),
    (0.06, 10.0, 100.0, ((4, 0.40), (8, 0.40), (16, 0.20))),
    (0.02, 100.0, 200.0, ((8, 0.30), (16, 0.70))),
)
LEVELS = 8  # the noise scale grows over a training; its goodput is tabled at so many points
SPEEDS = {"a": 1.0, "b": 0.5, "c": 0.25}  # how the kinds of a mixed cluster compare in general


@dataclass(frozen=True)
class Cluster:
    """nodes: (number, kind, devices)."""

    nodes: tuple[tuple[int, str, int], ...]

    @property
    def devices(self) -> int:
        return sum(count for _, _, count in self.nodes)

    @property
    def kinds(self) -> list[str]:
        return sorted({kind for _, kind, _ in self.nodes})

    @property
    def node_devices(self) -> int:
        return max(count for _, _, count in self.nodes)


def cluster(kind: str = "equal") -> Cluster:
    """16 nodes of 4 devices: all of one kind ("equal"), or of three ("mixed")."""
    kinds = ["a"] * 16 if kind == "equal" else ["a"] * 4 + ["b"] * 6 + ["c"] * 6
    return Cluster(tuple((number, name, 4) for number, name in enumerate(kinds)))


@dataclass(frozen=True)
class SimJob:
    """A job as it is: nothing of `truth` is shown to a scheduler.

    work: samples of the base batch's worth. asked: the devices a person would ask for. declares: whether its
    script says how much work it has.
    """

    number: int
    project: int
    submitted: float
    work: float
    asked: int
    most: int
    restart_seconds: float
    base_batch: float
    largest_batch: float
    largest_micro_batch: float
    noise_scale: float
    noise_growth: float
    declares: bool
    truth: dict[str, Throughput] = field(repr=False)

    def noise_at(self, done: float) -> float:
        """The noise scale at a share of the work: it grows as training goes on."""
        return self.noise_scale * self.noise_growth ** min(1.0, done)

    @cached_property
    def tables(self) -> dict[Any, float]:
        return {}

    def model(self, kind: str, done: float) -> Goodput:
        return Goodput(
            self.truth[kind], self.base_batch, self.noise_at(done), self.largest_batch,
            self.largest_micro_batch, adapts=True,
        )  # fmt: skip

    def rate(self, kind: str, devices: int, nodes: int, done: float = 0.5) -> float:
        """Goodput, at the level of progress that `done` (0..1) falls into."""
        level = min(LEVELS - 1, int(done * LEVELS))
        key = (kind, devices, nodes > 1, level)
        if key not in self.tables:
            model = self.model(kind, (level + 0.5) / LEVELS)
            self.tables[key] = model.points([devices], [2 if nodes > 1 else 1])[0].goodput
        return self.tables[key]


def generated(seed: int, jobs: int = 160, hours: float = 8.0, kinds: tuple[str, ...] = ("a",),
              declare: float = 0.8) -> list[SimJob]:  # fmt: skip
    """`jobs` jobs that come over `hours`. declare: the share whose script says how long it is."""
    dice = np.random.default_rng(seed)
    moments = arrivals(dice, jobs, hours * 3600)
    made = []
    for number, submitted in enumerate(moments):
        _, low, high, gangs = LENGTHS[int(dice.choice(len(LENGTHS), p=[row[0] for row in LENGTHS]))]
        hours_needed = float(np.exp(dice.uniform(math.log(low), math.log(high))))
        asked = int(dice.choice([size for size, _ in gangs], p=[part for _, part in gangs]))
        made.append(drawn(dice, number, float(submitted), hours_needed * 3600 / asked, asked, kinds, declare))
    return made


def arrivals(dice: np.random.Generator, jobs: int, seconds: float) -> list[float]:
    """Sorted moments; three times as many at the day's height as at its ends."""
    times: list[float] = []
    while len(times) < jobs:
        at = float(dice.uniform(0, seconds))
        phase = 2 * math.pi * (at / min(seconds, DAY))
        if dice.uniform() < 0.25 + 0.75 * (1 - math.cos(phase)) / 2:
            times.append(at)
    return sorted(times)


def drawn(dice: np.random.Generator, number: int, submitted: float, seconds: float, asked: int,
          kinds: tuple[str, ...], declare: float) -> SimJob:  # fmt: skip
    """A job that takes `seconds` on the `asked` devices of the first kind, with the rest of its nature drawn."""
    batch = float(2 ** dice.integers(5, 9))
    gradient = float(np.exp(dice.normal(math.log(0.2), 0.8)))  # seconds of a base batch on one device
    fixed = gradient * float(dice.uniform(0.05, 0.4))
    local = gradient * float(np.exp(dice.normal(math.log(0.05), 0.8)))
    across = local * float(np.exp(dice.normal(math.log(3), 0.4)))
    logit = float(dice.normal(-1.5, 1))
    truth = {}
    for kind in kinds:
        slower = 1 / SPEEDS[kind] * (float(np.exp(dice.normal(0, 0.25))) if kind != kinds[0] else 1.0)
        times = [
            fixed * slower,
            (gradient - fixed) * slower / batch,
            local,
            local * 0.02,
            across,
            across * 0.02,
        ]
        truth[kind] = Throughput((*(float(t) for t in np.log(times)), logit), (0.0,) * 7)
    job = SimJob(
        number, int(dice.integers(0, 6)), submitted, 1.0, asked, max(asked, int(min(64, asked * 8))),
        float(dice.uniform(20, 60)), batch, batch * float(2 ** dice.integers(3, 7)), batch * 4,
        batch * float(np.exp(dice.normal(math.log(4), 1.0))), float(np.exp(dice.uniform(0, math.log(12)))),
        bool(dice.uniform() < declare), truth,
    )  # fmt: skip
    # So much that it takes these seconds where a person put it: work is the integral of goodput over progress.
    nodes = -(-asked // 4)
    slowness = np.mean(
        [1 / job.rate(kinds[0], asked, nodes, (level + 0.5) / LEVELS) for level in range(LEVELS)]
    )
    object.__setattr__(job, "work", seconds / float(slowness))
    return job


COLUMNS = ("submitted_seconds", "run_seconds", "devices", "project")


def recorded(path: Path, seed: int, kinds: tuple[str, ...] = ("a",), declare: float = 0.8) -> list[SimJob]:
    """Jobs of a trace file; what it does not say (how they scale) is drawn from the seed.

    Raises ValueError with the line for a file that is not one.
    """
    dice = np.random.default_rng(seed)
    jobs = []
    with open(path, newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path}: the columns are {rows.fieldnames}; expected {', '.join(COLUMNS)}")
        for number, row in enumerate(rows):
            try:
                submitted, seconds, devices = (
                    float(row[COLUMNS[0]]),
                    float(row[COLUMNS[1]]),
                    int(row[COLUMNS[2]]),
                )
                project = int(row[COLUMNS[3]])
            except (TypeError, ValueError):
                raise ValueError(f"{path}: row {number + 1} is {row}; expected four numbers") from None
            if seconds <= 0 or not 1 <= devices <= 64:
                raise ValueError(
                    f"{path}: row {number + 1} is {row}; expected run_seconds > 0, devices 1..64"
                )
            job = drawn(dice, number, submitted, seconds, devices, kinds, declare)
            object.__setattr__(job, "project", project)
            jobs.append(job)
    return sorted(jobs, key=lambda job: (job.submitted, job.number))
