"""Schedulers that give each job what its owner asked for, in some order; and equal shares."""

from __future__ import annotations

from benchmarks.cluster.engine import Live, Places
from benchmarks.cluster.workload import Cluster

from .room import Room

Given = dict[int, tuple[str, Places]]


class Fifo:
    """First come, first served, nobody is interrupted; later jobs that fit may start before a waiting gang."""

    name = "fifo"

    def decide(self, now: float, live: list[Live], cluster: Cluster) -> Given:
        room = Room(cluster)
        given: Given = {}
        for one in live:
            if room.stay(one):
                given[one.job.number] = one.kind, one.places
        for one in live:
            if one.job.number not in given:
                found = room.fit(min(one.job.asked, cluster.devices))
                if found:
                    given[one.job.number] = found
        return given


class ShortestFirst:
    """Whoever has least left goes first and interrupts the others. Knows every job's true remaining time."""

    name = "shortest first"

    def decide(self, now: float, live: list[Live], cluster: Cluster) -> Given:
        room = Room(cluster)
        given: Given = {}

        def left(one: Live) -> float:
            kind = one.kind or cluster.kinds[0]
            nodes = -(-one.job.asked // cluster.node_devices)
            seconds = one.remaining / one.job.rate(kind, one.job.asked, nodes, one.done / one.job.work)
            return seconds if one.places else seconds + one.job.restart_seconds

        for one in sorted(live, key=lambda one: (left(one), one.job.number)):
            if room.stay(one):
                given[one.job.number] = one.kind, one.places
                continue
            found = room.fit(min(one.job.asked, cluster.devices), one.places)
            if found:
                given[one.job.number] = found
        return given


class FairShare:
    """All jobs get as equal a number of devices as can be (max-min), up to what each can use.

    Where there are more jobs than devices, those that had least so far take turns of ten minutes.
    """

    name = "fair share"
    turn_seconds = 600.0

    def __init__(self) -> None:
        self.since: dict[int, float] = {}

    def decide(self, now: float, live: list[Live], cluster: Cluster) -> Given:
        def had(one: Live) -> tuple[bool, float, int]:
            in_turn = bool(one.places) and now - self.since.get(one.job.number, now) < self.turn_seconds
            return not in_turn, one.device_seconds, one.job.number

        order = sorted(live, key=had)[: cluster.devices]
        share = {one.job.number: 1 for one in order}
        left = cluster.devices - len(order)
        grown = True
        while grown:
            grown = False
            # Doubling keeps gangs to sizes that pack; the smallest share first.
            for one in sorted(order, key=lambda one: (share[one.job.number], had(one))):
                size = share[one.job.number]
                if size <= left and size * 2 <= one.job.most:
                    share[one.job.number] = size * 2
                    left -= size
                    grown = True
                    break
        room = Room(cluster)
        given: Given = {}
        for one in order:
            if one.places and one.devices == share[one.job.number] and room.stay(one):
                given[one.job.number] = one.kind, one.places
        for one in sorted(order, key=lambda one: (-share[one.job.number], one.job.number)):
            size = share[one.job.number]
            while one.job.number not in given and size:
                found = room.fit(size, one.places)
                if found:
                    given[one.job.number] = found
                size //= 2
        for number in given:
            self.since.setdefault(number, now)
        for number in [number for number in self.since if number not in given]:
            del self.since[number]
        return given
