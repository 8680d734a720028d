"""Which waiting job gets which free devices: pure, so that a tick can be tested without a database.

A gang is placed whole, on one node unless it may span several, or not at all. Order: priority, then the project that
holds fewest devices, then age. A job that does not fit lets smaller ones behind it go ahead, but not for ever: after
`HELD_AFTER_SECONDS` the first of its kind gets a node to itself, on which nothing behind it is placed any more.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

HELD_AFTER_SECONDS = 120.0


@dataclass(frozen=True)
class Waiting:
    """A queued job. It takes `min_devices` to `max_devices` of one kind on up to `max_nodes` nodes, and waits for
    `waited_seconds` by now. nodes: where alone it may run, None where any will do; asked: why, " with label x=y"."""

    job: int
    project: int
    kind: str
    min_devices: int = 1
    max_devices: int = 1
    priority: int = 0
    waited_seconds: float = 0.0
    max_nodes: int = 1
    nodes: frozenset[int] | None = None
    asked: str = ""

    def may_use(self, where: "Place") -> bool:
        return self.nodes is None or where[0] in self.nodes


@dataclass(frozen=True)
class Free:
    """A healthy device of an open node that nothing holds."""

    device: int
    node: int
    kind: str
    index: int = 0


@dataclass(frozen=True)
class Assignment:
    """node: the first one's; others: further nodes of the gang, in their order. devices: on all of them."""

    job: int
    node: int
    devices: tuple[int, ...]
    others: tuple[int, ...] = ()


@dataclass(frozen=True)
class Placement:
    """What starts now, and why each of the others waits."""

    assigned: list[Assignment] = field(default_factory=list)
    waiting: dict[int, str] = field(default_factory=dict)


Place = tuple[int, str]  # node, kind of device


@dataclass
class Room:
    """Free devices of one kind by node, and the node that is kept for a job which waited long."""

    free: dict[Place, list[Free]] = field(default_factory=lambda: defaultdict(list))
    kept: Place | None = None
    kept_for: int = 0
    # What can be known without a look at every node: five thousand jobs ask, and few of them start.
    _most: int | None = None
    _open: int | None = None

    @property
    def most(self) -> int:
        """Devices that are free on the node with most."""
        if self._most is None:
            self._most = max(map(len, self.free.values()), default=0)
        return self._most

    def fitting(self, job: Waiting) -> list[tuple[int, Place]]:
        """(free devices, node) of those that take the job and are kept for nobody."""
        least = job.min_devices
        if self._open is None:
            self._open = max((len(d) for where, d in self.free.items() if where != self.kept), default=0)
        if self._open < least:
            return []
        return [
            (len(devices), where)
            for where, devices in self.free.items()
            if len(devices) >= least and where != self.kept and job.may_use(where)
        ]

    def spread(self, job: Waiting) -> list[Place]:
        """The nodes with most room that together take the job; none where they do not hold its least."""
        able = sorted(
            (where for where in self.free if where != self.kept and job.may_use(where)),
            key=lambda w: (-len(self.free[w]), w),
        )
        chosen: list[Place] = []
        found = 0
        for where in able[: job.max_nodes]:
            if found >= job.max_devices or not self.free[where]:
                break
            chosen.append(where)
            found += len(self.free[where])
        return chosen if found >= job.min_devices else []

    def take(self, where: Place, most: int) -> list[Free]:
        devices = self.free[where]
        self.free[where] = devices[most:]
        self._most = self._open = None
        return devices[:most]

    def keep(self, where: Place, job: Waiting) -> None:
        self.kept, self.kept_for, self._open = where, job.min_devices, None


def place(
    jobs: Iterable[Waiting],
    free: Iterable[Free],
    held: Mapping[int, int] | None = None,
    capacity: Mapping[Place, int] | None = None,
) -> Placement:
    """Assign free devices to waiting jobs.

    held: devices each project holds now. capacity: devices that each open node has, free or not; it tells a
    job that must wait for others from one that no node can ever take.
    """
    holding: Counter[int] = Counter(held or {})
    capacity = capacity or {}
    rooms: dict[str, Room] = defaultdict(Room)
    for device in sorted(free, key=lambda item: item.index):
        rooms[device.kind].free[device.node, device.kind].append(device)
    largest: dict[str, list[int]] = defaultdict(list)
    for (_, kind), count in capacity.items():
        largest[kind].append(count)
    for counts in largest.values():
        counts.sort(reverse=True)
    placement = Placement()
    queues = by_project(jobs)
    while queues:
        # Picked anew each time: what a project was just given counts against it.
        project = min(
            queues, key=lambda item: (-queues[item][0].priority, holding[item], queues[item][0].job)
        )
        job = queues[project].popleft()
        if not queues[project]:
            del queues[project]
        room = rooms[job.kind]
        chosen = chosen_nodes(job, room)
        if not chosen:
            counts = largest[job.kind]
            if job.nodes is not None:
                usable = (
                    count for where, count in capacity.items() if where[1] == job.kind and job.may_use(where)
                )
                counts = sorted(usable, reverse=True)
            placement.waiting[job.job] = reason(job, room, sum(counts[: job.max_nodes]))
            if room.kept is None and job.waited_seconds >= HELD_AFTER_SECONDS:
                where = best_node(job, room, capacity)
                if where is not None:
                    room.keep(where, job)
            continue
        taken: list[Free] = []
        for where in chosen:
            taken += room.take(where, job.max_devices - len(taken))
        first, *others = (node for node, _ in chosen)
        devices = tuple(item.device for item in taken)
        placement.assigned.append(Assignment(job.job, first, devices, tuple(others)))
        holding[job.project] += len(taken)
    return placement


def chosen_nodes(job: Waiting, room: Room) -> list[Place]:
    """Where the job starts now: one node where one will do, else as few as hold most of what it can use."""
    fitting = room.fitting(job)
    if job.max_nodes > 1 and max(fitting, default=(0, None))[0] < job.max_devices:
        return room.spread(job)
    if not fitting:
        return []
    # A gang that can grow takes the node with most room; else the tightest fit leaves big gaps whole.
    widest = job.max_devices > job.min_devices
    return [min(fitting, key=lambda item: (-item[0] if widest else item[0], item[1]))[1]]


def placed_again(
    job: Waiting, free: Iterable[Free], wanted: int, had: int, leave: Iterable[int] = ()
) -> Assignment | None:
    """A gang for a job that has just given its devices back in order to have `wanted`: those, or as many as it had.

    free: with those given back. leave: nodes to be left, if that can be. None where not even its least is there.
    """
    free, left = list(free), set(leave)
    elsewhere = [device for device in free if device.node not in left]
    tries = [(elsewhere, wanted, wanted), (elsewhere, job.min_devices, wanted)] if left else []
    tries += [(free, wanted, wanted), (free, had, had), (free, job.min_devices, max(wanted, had))]
    for devices, least, most in tries:
        found = place([replace(job, min_devices=least, max_devices=most)], devices).assigned
        if found:
            return found[0]
    return None


def by_project(jobs: Iterable[Waiting]) -> dict[int, deque[Waiting]]:
    """Each project's jobs in their order."""
    queues: dict[int, deque[Waiting]] = defaultdict(deque)
    for job in sorted(jobs, key=lambda item: (-item.priority, item.job)):
        queues[job.project].append(job)
    return queues


def best_node(job: Waiting, room: Room, capacity: Mapping[Place, int]) -> Place | None:
    """The node that is nearest to taking the job, of those that can at all."""
    able = [
        where
        for where, count in capacity.items()
        if where[1] == job.kind and count >= job.min_devices and job.may_use(where)
    ]
    return min(able, key=lambda where: (-len(room.free.get(where, ())), where), default=None)


def reason(job: Waiting, room: Room, largest: int) -> str:
    """Why a job waits, in words. largest: devices of the largest open nodes of its kind, as many as it may span."""
    what = {"cpu": "CPU slot", "gpu": "GPU"}.get(job.kind, job.kind)
    wanted = f"{job.min_devices} {what}{'s' if job.min_devices > 1 else ''}"
    if job.nodes is not None:
        wanted += f" on a node{job.asked}"
    if largest == 0:
        return f"waits for {wanted}: no open node has a healthy {what}" + (" and that" if job.asked else "")
    if job.nodes is not None:
        free = max((len(free) for where, free in room.free.items() if job.may_use(where)), default=0)
        return f"waits for {wanted}: at most {free} free on one of {len(job.nodes)} such"
    if job.max_nodes > 1:
        few = f"waits for {wanted} on up to {job.max_nodes} nodes"
        if largest < job.min_devices:
            return f"{few}: the largest open nodes have {largest} together"
        return f"{few}: at most {room.most} free on one of them, others run"
    if largest < job.min_devices:
        return f"waits for {wanted} on one node: the largest open node has {largest}"
    if room.kept is not None and len(room.free.get(room.kept, ())) >= job.min_devices:
        return f"waits for {wanted}: what is free is kept for a job that has waited long for {room.kept_for}"
    return f"waits for {wanted}: at most {room.most} free on one node, others run"
