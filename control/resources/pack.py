"""On which nodes: what stays stays where it is, what is new goes where it leaves the least gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Places = tuple[tuple[int, int], ...]  # (node, devices) each


@dataclass
class Packing:
    """Free devices of one class of nodes, and what was put on them."""

    free: dict[int, int]
    size: Mapping[int, int]
    put: dict[int, Places] = field(default_factory=dict)

    def stay(self, job: int, places: Places) -> bool:
        """Leave a job exactly where it is, if that is (still) possible."""
        if not places or any(self.free.get(node, 0) < count for node, count in places):
            return False
        self.take(job, places)
        return True

    def shrink(self, job: int, held: Places, count: int) -> bool:
        """Keep `count` devices on the node where a job has most of its own."""
        node = max(held, key=lambda item: (item[1], -item[0]), default=(-1, 0))[0]
        if self.free.get(node, 0) < count:
            return False
        self.take(job, ((node, count),))
        return True

    def fit(self, job: int, count: int, spans: bool, near: Sequence[int] = ()) -> bool:
        """Put a job on the node that it fills best, a node of its own before others; else over whole nodes."""
        able = [(free - count, node not in near, node) for node, free in self.free.items() if free >= count]
        if able:
            self.take(job, ((min(able)[2], count),))
            return True
        # What would fit into one node is not torn over two: its goodput was reckoned on one.
        if not spans or count <= max(self.size.values(), default=0):
            return False
        places: list[tuple[int, int]] = []
        left = count
        for free, node in sorted(((free, node) for node, free in self.free.items() if free), reverse=True):
            part = min(free, left)
            places.append((node, part))
            left -= part
            if not left:
                self.take(job, tuple(sorted(places)))
                return True
        return False

    def make_room(self, count: int, movable: Mapping[int, int]) -> list[int]:
        """Move small jobs together until one node has `count` free; the jobs that were moved, [] if none helps.

        movable: devices of jobs on a single node that may be moved. The node whose clearing moves least is taken.
        """
        best: tuple[int, int, list[tuple[int, int]]] | None = None
        on: dict[int, list[tuple[int, int]]] = {}
        for job, devices in movable.items():
            places = self.put.get(job, ())
            if len(places) == 1:
                on.setdefault(places[0][0], []).append((devices, job))
        for node, jobs in on.items():
            if self.size[node] < count:
                continue
            room, free = self.free[node], dict(self.free)
            moves: list[tuple[int, int]] = []
            for devices, job in sorted(jobs):
                if room >= count:
                    break
                able = [(left - devices, other) for other, left in free.items()
                        if other != node and left >= devices]  # fmt: skip
                if able:
                    target = min(able)[1]
                    free[target] -= devices
                    moves.append((job, target))
                    room += devices
            moved = sum(movable[job] for job, _ in moves)
            if room >= count and (best is None or (moved, node) < best[:2]):
                best = (moved, node, moves)
        if best is None:
            return []
        for job, target in best[2]:
            devices = movable[job]
            self.free[best[1]] += devices
            del self.put[job]
            self.take(job, ((target, devices),))
        return [job for job, _ in best[2]]

    def take(self, job: int, places: Places) -> None:
        for node, count in places:
            self.free[node] -= count
        self.put[job] = places
