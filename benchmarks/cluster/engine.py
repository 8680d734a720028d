"""The simulated cluster itself: jobs arrive, a scheduler is asked every round, work is done at the true rate.

A job whose devices change stands still for its restart time. Every scheduler works at the same rounds, restart costs
and batch sizes (each job adapts its batch by itself), and sees the same noisy measurements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from control.resources.estimate import Profile, goodputs
from control.resources.throughput import Measured

from .workload import SPEEDS, Cluster, SimJob

ROUND_SECONDS = 60.0
STEP_NOISE = 0.05  # of a measured step's time, one standard deviation of its logarithm
NOISE_SCALE_NOISE = 0.2
MOST_SECONDS = 60 * 86_400.0

Places = tuple[tuple[int, int], ...]  # (node, devices) each


@dataclass
class Live:
    """A job in the cluster, and what a scheduler may know of it."""

    job: SimJob
    dice: np.random.Generator = field(repr=False)
    done: float = 0.0
    kind: str = ""
    places: Places = ()
    restart_left: float = 0.0
    restarts: int = 0
    started: float | None = None
    waits_since: float = 0.0
    device_seconds: float = 0.0
    busy_seconds: float = 0.0  # of those, when work was done
    measured: dict[str, list[Measured]] = field(default_factory=dict)
    seen: dict[tuple[str, int, bool], int] = field(default_factory=dict)
    noise_seen: float | None = None
    version: int = 0  # of the measurements
    estimates: dict[str, dict[int, float]] | None = field(default=None, repr=False)
    estimated: tuple[int, int] | None = None

    @property
    def devices(self) -> int:
        return sum(count for _, count in self.places)

    @property
    def remaining(self) -> float:
        return self.job.work - self.done

    def true_rate(self) -> float:
        return self.job.rate(self.kind, self.devices, len(self.places), self.done / self.job.work)

    def measure(self) -> None:
        """What the step timer and the noise scale's estimator would report of this round."""
        place = (self.kind, self.devices, len(self.places) > 1)
        count = self.seen.get(place, 0) + 1
        self.seen[place] = count
        # Every round brings a measurement; the first of a setting, and ever fewer of the later ones, change the fit.
        if count & (count - 1):
            return
        model = self.job.model(self.kind, self.done / self.job.work)
        point = model.points([self.devices], [len(self.places)])[0]
        micro = point.batch / self.devices / point.accumulation
        true = float(model.throughput.step_seconds(self.devices, micro, point.accumulation, len(self.places)))
        seconds = true * float(np.exp(STEP_NOISE * self.dice.standard_normal()))
        self.measured.setdefault(self.kind, []).append(
            Measured(self.devices, micro, seconds, len(self.places), point.accumulation)
        )
        self.noise_seen = self.job.noise_at(self.done / self.job.work) * float(
            np.exp(NOISE_SCALE_NOISE * self.dice.standard_normal())
        )
        self.version += 1

    def estimate(self, cluster: Cluster) -> dict[str, dict[int, float]]:
        """Goodput per kind and number of devices as it is believed to be; ratios alone before the first measurement."""
        key = (self.version, int(8 * self.done / self.job.work))
        if self.estimates is None or self.estimated != key:
            from control.resources.cluster import sizes
            from control.resources.estimate import nodes_for

            profile = Profile(
                self.measured, self.job.base_batch, self.noise_seen or 4 * self.job.base_batch,
                self.job.largest_batch, self.job.largest_micro_batch, adapts=True,
            )  # fmt: skip
            counts = sizes(1, min(self.job.most, cluster.devices), cluster.node_devices, spans=True)
            counts = [count for count in counts if count & (count - 1) == 0]
            speeds = {kind: SPEEDS[kind] for kind in cluster.kinds}
            over = nodes_for(counts, cluster.node_devices)
            self.estimates = {
                kind: model.table(counts, over) for kind, model in goodputs(profile, speeds).items()
            }
            self.estimated = key
        return self.estimates


class Scheduler(Protocol):
    name: str

    def decide(self, now: float, live: list[Live], cluster: Cluster) -> Mapping[int, tuple[str, Places]]:
        """(kind, places) of every job that shall have devices, by its number."""


@dataclass(frozen=True)
class Outcome:
    """One job's end."""

    number: int
    project: int
    submitted: float
    started: float
    finished: float
    device_seconds: float
    restarts: int
    alone_seconds: float  # what it would have taken with a fair share of the cluster to itself

    @property
    def completion_seconds(self) -> float:
        return self.finished - self.submitted


@dataclass
class Ended:
    """A whole simulation."""

    outcomes: list[Outcome]
    held_device_seconds: float
    busy_device_seconds: float
    cluster: Cluster
    decided: int = 0


class Overcommitted(AssertionError):
    """A scheduler gave out what is not there; the message says what."""


def simulate(jobs: list[SimJob], cluster: Cluster, scheduler: Scheduler, seed: int = 0) -> Ended:
    """Run all jobs to their end. Raises Overcommitted, and RuntimeError where nothing ends for 60 days."""
    coming = sorted(jobs, key=lambda job: (job.submitted, job.number))
    live: dict[int, Live] = {}
    ended = Ended([], 0.0, 0.0, cluster)
    now, next_one = 0.0, 0
    while next_one < len(coming) or live:
        if not live and coming[next_one].submitted > now:
            now = ROUND_SECONDS * np.ceil(coming[next_one].submitted / ROUND_SECONDS)
        while next_one < len(coming) and coming[next_one].submitted <= now:
            job = coming[next_one]
            # Measurements of a job are the same whoever schedules it, as far as its course is.
            live[job.number] = Live(job, np.random.default_rng([seed, job.number]), waits_since=job.submitted)
            next_one += 1
        given = scheduler.decide(now, [live[number] for number in sorted(live)], cluster)
        check(given, live, cluster)
        ended.decided += 1
        for number, one in live.items():
            kind, places = given.get(number, ("", ()))
            hold(one, kind, tuple(sorted(places)), now)
        for number in list(live):
            finished = work(live[number], now, ended)
            if finished is not None:
                one = live.pop(number)
                ended.outcomes.append(outcome(one, finished, cluster, len(live) + 1))
        now += ROUND_SECONDS
        if now > MOST_SECONDS:
            raise RuntimeError(f"{len(live)} jobs have not ended after {MOST_SECONDS / 86_400:.0f} days")
    return ended


def hold(one: Live, kind: str, places: Places, now: float) -> None:
    if (kind, places) == (one.kind, one.places) or (not places and not one.places):
        return
    if places:
        one.restart_left = one.job.restart_seconds
        if one.started is None:
            one.started = now
        else:
            one.restarts += 1
    if one.places and not places:
        one.waits_since = now
    one.kind, one.places = kind, places


def work(one: Live, now: float, ended: Ended) -> float | None:
    """Do a round's work; the moment it ended, None if it did not."""
    if not one.places:
        return None
    left = ROUND_SECONDS
    pause = min(left, one.restart_left)
    one.restart_left -= pause
    left -= pause
    rate = one.true_rate()
    finished = None
    needed = one.remaining / rate
    if needed <= left:
        finished = now + pause + needed
        one.done = one.job.work
    else:
        one.done += rate * left
        needed = left
    held = pause + needed
    one.device_seconds += one.devices * held
    one.busy_seconds += one.devices * needed
    ended.held_device_seconds += one.devices * held
    ended.busy_device_seconds += one.devices * needed
    if finished is None and left > ROUND_SECONDS / 4:
        one.measure()
    return finished


def check(given: Mapping[int, tuple[str, Places]], live: Mapping[int, Live], cluster: Cluster) -> None:
    room = {node: count for node, _, count in cluster.nodes}
    kinds = {node: kind for node, kind, _ in cluster.nodes}
    for number, (kind, places) in given.items():
        if number not in live:
            raise Overcommitted(f"job {number} is not there")
        for node, count in places:
            room[node] -= count
            if room[node] < 0 or kinds[node] != kind or count < 1:
                raise Overcommitted(
                    f"job {number} was given {count} {kind} of node {node}: {room[node]} left"
                )


def outcome(one: Live, finished: float, cluster: Cluster, sharing: int) -> Outcome:
    kind = cluster.kinds[0]
    share = min(one.job.most, max(1, cluster.devices // max(1, sharing)))
    share = 2 ** int(np.log2(share))
    alone = one.job.work / one.job.rate(kind, share, -(-share // cluster.node_devices))
    assert one.started is not None
    return Outcome(
        one.job.number, one.job.project, one.job.submitted, one.started, finished, one.device_seconds,
        one.restarts, alone,
    )  # fmt: skip
