"""Free devices of the simulated cluster, and how any scheduler fits a gang into them."""

from __future__ import annotations

from benchmarks.cluster.engine import Live, Places
from benchmarks.cluster.workload import SPEEDS, Cluster


class Room:
    """What is free; `fit` takes it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.free = {node: count for node, _, count in cluster.nodes}
        self.kinds = {node: kind for node, kind, _ in cluster.nodes}
        # Fastest first: whoever comes first takes what is best.
        self.order = sorted(cluster.kinds, key=lambda kind: -SPEEDS[kind])

    def total(self) -> int:
        return sum(self.free.values())

    def stay(self, one: Live) -> bool:
        if not one.places or any(self.free[node] < count for node, count in one.places):
            return False
        for node, count in one.places:
            self.free[node] -= count
        return True

    def fit(self, count: int, near: Places = ()) -> tuple[str, Places] | None:
        """The node that is filled best, else the fewest nodes of one kind; None where there is no room."""
        own = {node for node, _ in near}
        for kind in self.order:
            here = [(free, node) for node, free in self.free.items() if self.kinds[node] == kind and free]
            able = [(free, node not in own, node) for free, node in here if free >= count]
            if able:
                return self.take(kind, ((min(able)[2], count),))
            if count <= self.cluster.node_devices or sum(free for free, _ in here) < count:
                continue
            places, left = [], count
            for free, node in sorted(here, reverse=True):
                part = min(free, left)
                places.append((node, part))
                left -= part
                if not left:
                    return self.take(kind, tuple(places))
        return None

    def take(self, kind: str, places: Places) -> tuple[str, Places]:
        for node, count in places:
            self.free[node] -= count
        return kind, tuple(sorted(places))
