"""Which waiting job gets which free devices: pure, so that a tick can be tested without a database.

A gang is placed whole on one node or not at all. Order: priority, then the project that holds fewest
devices, then age. A job that does not fit lets smaller ones behind it go ahead.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Waiting:
    """A queued job. It takes `min_devices` to `max_devices` of one kind."""

    job: int
    project: int
    kind: str
    min_devices: int = 1
    max_devices: int = 1
    priority: int = 0


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


def place(
    jobs: Iterable[Waiting],
    free: Iterable[Free],
    held: Mapping[int, int] | None = None,
    capacity: Mapping[str, int] | None = None,
) -> Placement:
    """Assign free devices to waiting jobs.

    held: devices each project holds now. capacity: by kind, the most devices any one open node has, free or
    not; it tells a job that must wait for others from one that no node can ever take.
    """
    holding: Counter[int] = Counter(held or {})
    capacity = capacity or {}
    room: dict[tuple[int, str], list[Free]] = defaultdict(list)
    for device in sorted(free, key=lambda item: item.index):
        room[device.node, device.kind].append(device)
    left = sorted(jobs, key=lambda item: item.job)
    placement = Placement()
    while left:
        # Picked anew each time: what a project was just given counts against it.
        job = min(left, key=lambda item: (-item.priority, holding[item.project], item.job))
        left.remove(job)
        fitting = [
            (len(devices), node)
            for (node, kind), devices in room.items()
            if kind == job.kind and len(devices) >= job.min_devices
        ]
        if not fitting:
            placement.waiting[job.job] = reason(job, room, capacity)
            continue
        # A gang that can grow takes the node with most room; else the tightest fit leaves big gaps whole.
        widest = job.max_devices > job.min_devices
        _, node = min(fitting, key=lambda item: (-item[0] if widest else item[0], item[1]))
        devices = room[node, job.kind]
        taken, room[node, job.kind] = devices[: job.max_devices], devices[job.max_devices :]
        placement.assigned.append(Assignment(job.job, node, tuple(item.device for item in taken)))
        holding[job.project] += len(taken)
    return placement


def reason(job: Waiting, room: Mapping[tuple[int, str], list[Free]], capacity: Mapping[str, int]) -> str:
    """Why a job waits, in words."""
    what = {"cpu": "CPU slot", "gpu": "GPU"}.get(job.kind, job.kind)
    wanted = f"{job.min_devices} {what}{'s' if job.min_devices > 1 else ''}"
    most = capacity.get(job.kind, 0)
    if most == 0:
        return f"waits for {wanted}: no open node has a healthy {what}"
    if most < job.min_devices:
        return f"waits for {wanted} on one node: the largest open node has {most}"
    best = max((len(devices) for (_, kind), devices in room.items() if kind == job.kind), default=0)
    return f"waits for {wanted}: at most {best} free on one node, others run"
