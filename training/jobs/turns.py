"""Whose turn it is: pure. One queue for each kind of device; what a project is given counts against it at once.

1. jobs that fit into what is left of their project's quota
2. priority, with what waiting adds to it
3. of equals, the project that uses least of its quota, or has borrowed least
4. the order in the queue: as they were submitted, or as somebody has moved them
"""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

# Priorities of one class do not interrupt each other: low is -100, normal 0, high 100, urgent 200.
CLASS = 100
CLASSES = {"low": -CLASS, "normal": 0, "high": CLASS, "urgent": 2 * CLASS}

Holder = tuple[int, str]  # project, kind of device
Place = tuple[int, str]  # node, kind of device


def class_of(priority: int) -> int:
    """-1 for low, 0 for normal, 1 for high, 2 for urgent: the class whose number is nearest."""
    return (2 * priority + CLASS) // (2 * CLASS)


def class_name(priority: int) -> str:
    found = class_of(priority) * CLASS
    return next((name for name, value in CLASSES.items() if value == found), str(priority))


@dataclass(frozen=True)
class Waiting:
    """A queued job. It takes `min_devices` to `max_devices` of one kind on up to `max_nodes` nodes, and waits for
    `waited_seconds` by now. nodes: where alone it may run, None where any will do; asked: why, " with label x=y".
    order: its place among equals, the smaller the sooner. seconds: how long it will run, None where nobody knows.
    memory_bytes: main memory that it reserves on each of its nodes."""

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
    order: float = 0.0
    seconds: float | None = None
    memory_bytes: int = 0

    def may_use(self, where: tuple[int, str]) -> bool:
        """where: node and kind of device."""
        return self.nodes is None or where[0] in self.nodes


@dataclass(frozen=True)
class Quota:
    """Devices of one kind that are a project's own, and how many more it may have while they are idle (None: any)."""

    devices: int = 0
    borrow: int | None = None

    @property
    def most(self) -> int | None:
        return None if self.borrow is None else self.devices + self.borrow


NONE = Quota()


class Turns:
    """The waiting jobs of one kind, in the order of their claims.

    holding: devices by project and kind; whoever gives some out writes it there before asking for the next job.
    ageing_seconds: a job that waits so long counts as one class higher, up to the highest that waits; 0: never.
    """

    def __init__(
        self,
        jobs: Iterable[Waiting],
        holding: Mapping[Holder, int],
        quotas: Mapping[Holder, Quota],
        ageing_seconds: float = 0.0,
    ) -> None:
        self.holding, self.quotas = holding, quotas
        jobs = list(jobs)
        top = max((job.priority for job in jobs), default=0)
        aged = [(-aged_priority(job, top, ageing_seconds), job.order, job.job, job) for job in jobs]
        self.queues: dict[int, deque[tuple[float, float, int, Waiting]]] = defaultdict(deque)
        for entry in sorted(aged):
            self.queues[entry[3].project].append(entry)
        self.heap = [(self.claim(project), project, self.held(project)) for project in self.queues]
        heapq.heapify(self.heap)

    def __iter__(self) -> Iterator[Waiting]:
        while self.heap:
            _, project, held = self.heap[0]
            if self.held(project) != held:  # it was given something since: its turn comes later
                heapq.heapreplace(self.heap, (self.claim(project), project, self.held(project)))
                continue
            heapq.heappop(self.heap)
            queue = self.queues[project]
            yield queue.popleft()[3]
            if queue:
                heapq.heappush(self.heap, (self.claim(project), project, self.held(project)))

    def held(self, project: int) -> int:
        return self.holding.get((project, self.queues[project][0][3].kind), 0)

    def claim(self, project: int) -> tuple[bool, float, float, float, int]:
        """What the project's next job is ordered by; the least comes first."""
        priority, order, number, job = self.queues[project][0]
        held = self.holding.get((project, job.kind), 0)
        quota = self.quotas.get((project, job.kind), NONE)
        if is_own(job, held, quota):
            return False, priority, held / quota.devices, order, number
        return True, priority, max(0, held - quota.devices), order, number


def is_own(job: Waiting, held: int, quota: Quota) -> bool:
    """Whether the job's least fits into what is left of its project's quota."""
    return held + job.min_devices <= quota.devices


def aged_priority(job: Waiting, top: int, ageing_seconds: float) -> int:
    """Lifts to the level of the highest that waits, never above: among equals the order is not by age alone."""
    if not ageing_seconds or job.priority >= top:
        return job.priority
    return min(top, job.priority + int(CLASS * job.waited_seconds / ageing_seconds))


def in_turn(
    jobs: Iterable[Waiting],
    held: Mapping[Holder, int],
    quotas: Mapping[Holder, Quota],
    ageing_seconds: float = 0.0,
) -> list[int]:
    """Jobs in the order in which they would start if each got its least when its turn comes."""
    by_kind: dict[str, list[Waiting]] = defaultdict(list)
    for job in jobs:
        by_kind[job.kind].append(job)
    holding = defaultdict(int, held)
    found = []
    for kind in sorted(by_kind):
        for job in Turns(by_kind[kind], holding, quotas, ageing_seconds):
            found.append(job.job)
            holding[job.project, kind] += job.min_devices
    return found
