"""A scheduler after Pollux (Qiao et al. 2021, OSDI, section 4.2), written from the paper.

    fitness = (sum w_j speedup_j^p / sum w_j)^(1/p), p = -1
    w_j = min(1, (threshold / device time)^lambda), threshold 4 device hours, lambda 0.5
    speedup_j = goodput of the allocation / goodput of an equal share; where it changes, times
        (T - restarts delta) / (T + delta)

With p = -1 the best fitness is the least sum of w_j / speedup_j, which is separable: where the paper searches by a
genetic algorithm, every device goes here to whom it helps that sum most, which finds a better allocation sooner. A job
without devices counts with a tenth of its smallest speed-up. Goodput is estimated from the same measurements as ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.cluster.engine import Live, Places
from benchmarks.cluster.workload import Cluster

from .room import Room

Given = dict[int, tuple[str, Places]]
THRESHOLD_DEVICE_SECONDS = 4 * 3600.0
DECAY = 0.5
NOTHING = 0.1


@dataclass
class Claim:
    one: Live
    weight: float
    speedups: dict[int, float]  # devices, powers of two


class PolluxLike:
    name = "pollux-like"

    def decide(self, now: float, live: list[Live], cluster: Cluster) -> Given:
        kind = cluster.kinds[0]
        claims = [self.claim(one, now, len(live), cluster, kind) for one in live]
        count = {claim.one.job.number: 0 for claim in claims}
        left = cluster.devices
        while left:
            best, taker, size = 0.0, None, 0
            for claim in claims:
                held = count[claim.one.job.number]
                bigger = held * 2 if held else 1
                if bigger - held > left or bigger not in claim.speedups:
                    continue
                gain = claim.weight * (1 / self.speedup(claim, held) - 1 / self.speedup(claim, bigger))
                if gain / (bigger - held) > best:
                    best, taker, size = gain / (bigger - held), claim, bigger
            if taker is None:
                break
            left -= size - count[taker.one.job.number]
            count[taker.one.job.number] = size
        return self.placed(live, count, cluster)

    def claim(self, one: Live, now: float, sharing: int, cluster: Cluster, kind: str) -> Claim:
        table = one.estimate(cluster)[one.kind or kind]
        share = max((size for size in table if size <= max(1, cluster.devices // sharing)), default=1)
        reference = table[share]
        age = max(now - one.job.submitted, 60.0)
        delta = one.job.restart_seconds
        factor = max(0.0, (age - one.restarts * delta) / (age + delta))
        speedups = {
            size: good / reference * (1.0 if size == one.devices or not one.places else factor)
            for size, good in table.items()
        }
        weight = min(1.0, (THRESHOLD_DEVICE_SECONDS / max(one.device_seconds, 1.0)) ** DECAY)
        return Claim(one, weight, speedups)

    @staticmethod
    def speedup(claim: Claim, size: int) -> float:
        return max(claim.speedups[size], 1e-6) if size else NOTHING * max(claim.speedups[1], 1e-6)

    @staticmethod
    def placed(live: list[Live], count: dict[int, int], cluster: Cluster) -> Given:
        room = Room(cluster)
        given: Given = {}
        for one in live:
            if one.places and one.devices == count[one.job.number] and room.stay(one):
                given[one.job.number] = one.kind, one.places
        for one in sorted(live, key=lambda one: (-count[one.job.number], one.job.number)):
            size = count[one.job.number]
            while one.job.number not in given and size:
                found = room.fit(size, one.places)
                if found:
                    given[one.job.number] = found
                size //= 2
        return given
