"""Which waiting job gets which free devices: pure, so that a tick can be tested without a database.

A gang is placed whole on one node or not at all. Order: priority, then the project that holds fewest
devices, then age. A job that does not fit lets smaller ones behind it go ahead, but not for ever: after
`HELD_AFTER_SECONDS` the first of its kind gets a node to itself, on which nothing behind it is placed any more.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

HELD_AFTER_SECONDS = 120.0


@dataclass(frozen=True)
class Waiting:
    """A queued job. It takes `min_devices` to `max_devices` of one kind, and waits for `waited_seconds` by now."""

    job: int
    project: int
    kind: str
    min_devices: int = 1
    max_devices: int = 1
    priority: int = 0
    waited_seconds: float = 0.0


@dataclass(frozen=True)
class Free:
    """A healthy device of an open node that nothing holds."""

    device: int
    node: int
    kind: str
    index: int = 0


@dataclass(frozen=True)
class Assignment:
    job: int
    node: int
    devices: tuple[int, ...]


@dataclass(frozen=True)
class Placement:
    """What starts now, and why each of the others waits."""

    assigned: list[Assignment] = field(default_factory=list)
    waiting: dict[int, str] = field(default_factory=dict)


Place = tuple[int, str]  # node, kind of device


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
    room: dict[Place, list[Free]] = defaultdict(list)
    for device in sorted(free, key=lambda item: item.index):
        room[device.node, device.kind].append(device)
    placement = Placement()
    reserved: dict[str, tuple[Place, Waiting]] = {}  # by kind of device: a node kept free, and for whom
    queues = by_project(jobs)
    while queues:
        # Picked anew each time: what a project was just given counts against it.
        project = min(
            queues, key=lambda item: (-queues[item][0].priority, holding[item], queues[item][0].job)
        )
        job = queues[project].popleft()
        if not queues[project]:
            del queues[project]
        kept = reserved.get(job.kind)
        fitting = [
            (len(devices), where)
            for where, devices in room.items()
            if where[1] == job.kind and len(devices) >= job.min_devices and not (kept and kept[0] == where)
        ]
        if not fitting:
            placement.waiting[job.job] = reason(job, room, capacity, kept)
            if kept is None and job.waited_seconds >= HELD_AFTER_SECONDS:
                where = best_node(job, room, capacity)
                if where is not None:
                    reserved[job.kind] = (where, job)
            continue
        # A gang that can grow takes the node with most room; else the tightest fit leaves big gaps whole.
        widest = job.max_devices > job.min_devices
        _, where = min(fitting, key=lambda item: (-item[0] if widest else item[0], item[1]))
        devices = room[where]
        taken, room[where] = devices[: job.max_devices], devices[job.max_devices :]
        placement.assigned.append(Assignment(job.job, where[0], tuple(item.device for item in taken)))
        holding[job.project] += len(taken)
    return placement


def by_project(jobs: Iterable[Waiting]) -> dict[int, deque[Waiting]]:
    """Each project's jobs in their order."""
    queues: dict[int, deque[Waiting]] = defaultdict(deque)
    for job in sorted(jobs, key=lambda item: (-item.priority, item.job)):
        queues[job.project].append(job)
    return queues


def best_node(job: Waiting, room: Mapping[Place, list[Free]], capacity: Mapping[Place, int]) -> Place | None:
    """The node that is nearest to taking the job, of those that can at all."""
    able = [where for where, count in capacity.items() if where[1] == job.kind and count >= job.min_devices]
    return min(able, key=lambda where: (-len(room.get(where, ())), where), default=None)


def reason(
    job: Waiting,
    room: Mapping[Place, list[Free]],
    capacity: Mapping[Place, int],
    kept: tuple[Place, Waiting] | None = None,
) -> str:
    """Why a job waits, in words."""
    what = {"cpu": "CPU slot", "gpu": "GPU"}.get(job.kind, job.kind)
    wanted = f"{job.min_devices} {what}{'s' if job.min_devices > 1 else ''}"
    most = max((count for (_, kind), count in capacity.items() if kind == job.kind), default=0)
    if most == 0:
        return f"waits for {wanted}: no open node has a healthy {what}"
    if most < job.min_devices:
        return f"waits for {wanted} on one node: the largest open node has {most}"
    if kept is not None and len(room.get(kept[0], ())) >= job.min_devices:
        return f"waits for {wanted}: what is free is kept for a job that has waited long for {kept[1].min_devices}"
    best = max((len(devices) for (_, kind), devices in room.items() if kind == job.kind), default=0)
    return f"waits for {wanted}: at most {best} free on one node, others run"
