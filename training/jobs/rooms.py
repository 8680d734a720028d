"""The free devices of one kind as a tick gives them out, node by node, and the nodes that are kept: pure.

The main memory of a node is one store for jobs of every kind of device; who asks for none has no part in it.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from .turns import Place, Waiting

# A device or host that is used by so much without a job of ours is somebody's, and taken last.
BUSY = 0.5


@dataclass(frozen=True)
class Free:
    """A healthy device of an open node that nothing holds. load: how much of it was measured to be used, 0..1."""

    device: int
    node: int
    kind: str
    index: int = 0
    load: float = 0.0


@dataclass
class Kept:
    """A node that is kept for a job: others may take `extra` devices and `extra_bytes` of memory of it, or end within
    `seconds`."""

    job: int
    least: int
    seconds: float = 0.0
    extra: int = 0
    extra_bytes: float = inf

    def lets_past(self, job: Waiting) -> bool:
        return self.job == job.job or (job.seconds is not None and job.seconds <= self.seconds)


@dataclass
class Memory:
    """Main memory by node that no job has reserved. Of a node that is not in it nothing is known, nor counted."""

    left: dict[int, int] = field(default_factory=dict)
    kept: dict[int, list[Kept]] = field(default_factory=lambda: defaultdict(list))

    def open_to(self, job: Waiting, node: int) -> float:
        """Bytes that the job may have of a node now."""
        left: float = self.left.get(node, inf)
        return min([left, *(one.extra_bytes for one in self.kept.get(node, ()) if not one.lets_past(job))])

    def holds(self, job: Waiting, node: int) -> bool:
        return not job.memory_bytes or self.open_to(job, node) >= job.memory_bytes

    def take(self, job: Waiting, node: int) -> None:
        if node in self.kept:
            self.kept[node] = [one for one in self.kept[node] if one.job != job.job]
        if not job.memory_bytes or node not in self.left:
            return
        self.left[node] -= job.memory_bytes
        for one in self.kept.get(node, ()):
            if not one.lets_past(job):
                one.extra_bytes -= job.memory_bytes


@dataclass(frozen=True)
class Space:
    """What a job finds on a node: devices of its kind, and bytes of main memory."""

    devices: int
    memory_bytes: float = inf


@dataclass
class Room:
    """Free devices of one kind by node, and the nodes that are kept."""

    spread: bool = False
    memory: Memory = field(default_factory=Memory)
    free: dict[Place, list[Free]] = field(default_factory=lambda: defaultdict(list))
    kept: dict[Place, Kept] = field(default_factory=dict)
    kept_first: bool = False  # for the first in the queue that does not fit
    # What can be known without a look at every node: five thousand jobs ask, and few of them start.
    _most: int | None = None
    _open: int | None = None

    @property
    def most(self) -> int:
        """Devices that are free on the node with most."""
        if self._most is None:
            self._most = max(map(len, self.free.values()), default=0)
        return self._most

    def open_to(self, job: Waiting, where: Place) -> int:
        """How many devices of a node the job may have now; none where its memory is not there."""
        if job.memory_bytes and not self.memory.holds(job, where[0]):
            return 0
        free, kept = len(self.free.get(where, ())), self.kept.get(where)
        if kept is None or kept.lets_past(job):
            return free
        return min(free, kept.extra)

    def fitting(self, job: Waiting) -> list[tuple[int, Place]]:
        """(devices it may have, node) of the nodes that take the job."""
        if self.most_open(job) < job.min_devices:
            return []
        found = ((self.open_to(job, where), where) for where in self.free if job.may_use(where))
        return [(count, where) for count, where in found if count >= job.min_devices]

    def most_open(self, job: Waiting) -> int:
        """No fewer than the devices that the job may have on the node where it may have most."""
        if self._open is None:
            open_ones = (len(devices) for where, devices in self.free.items() if where not in self.kept)
            self._open = max(open_ones, default=0)
        if not self.kept:
            return self._open
        return max(self._open, *(self.open_to(job, where) for where in self.kept), 0)

    def spanning(self, job: Waiting) -> list[Place]:
        """The nodes with most room that together take the job; none where they do not hold its least."""
        able = sorted(
            ((self.open_to(job, where), where) for where in self.free if job.may_use(where)),
            key=lambda item: (-item[0], item[1]),
        )
        chosen: list[Place] = []
        found = 0
        for count, where in able[: job.max_nodes]:
            if found >= job.max_devices or not count:
                break
            chosen.append(where)
            found += count
        return chosen if found >= job.min_devices else []

    def load(self, where: Place) -> float:
        """Of the node's free devices, in quarters: two readings that differ by chance are the same."""
        devices = self.free[where]
        return round(4 * sum(device.load for device in devices) / max(1, len(devices))) / 4

    def choose(self, job: Waiting) -> list[Place]:
        """Where the job starts now: one node where one will do, else as few as hold most of what it can use."""
        fitting = self.fitting(job)
        if job.max_nodes > 1 and max(fitting, default=(0, None))[0] < job.max_devices:
            return self.spanning(job)
        # A gang that can grow takes the node with most room; else the tightest fit leaves big gaps whole.
        widest = self.spread or job.max_devices > job.min_devices

        def rank(item: tuple[int, Place]) -> tuple[float, ...]:
            count, where = item
            load = self.load(where)
            room = -count if widest else count
            return (load, room, where[0]) if self.spread else (float(load >= BUSY), room, load, where[0])

        return [min(fitting, key=rank)[1]] if fitting else []

    def take(self, job: Waiting, where: Place, most: int) -> list[Free]:
        most = min(most, self.open_to(job, where))
        devices = self.free[where]
        self.free[where] = devices[most:]
        self._most = self._open = None
        kept = self.kept.get(where)
        if kept is not None:
            if kept.job == job.job:
                del self.kept[where]
            elif not kept.lets_past(job):
                kept.extra -= most
        if most:
            self.memory.take(job, where[0])
        return devices[:most]

    def keep(self, where: Place, kept: Kept) -> None:
        self.kept[where] = kept
        if kept.extra_bytes < inf:
            self.memory.kept[where[0]].append(kept)
        self._open = None

    def open_places(self, job: Waiting, capacity: Mapping[Place, int]) -> dict[Place, Space]:
        """What the job may have now of each node that is not kept for another."""
        return {
            where: Space(len(self.free.get(where, ())), self.memory.open_to(job, where[0]))
            for where in capacity
            if where[1] == job.kind
            and job.may_use(where)
            and (where not in self.kept or self.kept[where].job == job.job)
        }
