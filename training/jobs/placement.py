"""Which waiting job gets which free devices: pure, so that a tick can be tested without a database.

A gang is placed whole, on one node unless it may span several, or not at all, in the order of `turns`. A job that does
not fit lets those behind it go ahead where they do not delay it: a node is kept for the first of its kind, on which
only what will have ended by then, or needs none of its devices, is placed. Where nobody knows when the running jobs
will end, that node is the one with most room, kept from `held_after_seconds` on. `preemption` says who leaves.
Main memory that a job asks for is reserved on each of its nodes as devices are, and kept with them.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf

from . import reasons
from .giving_way import Leaving, Running
from .preemption import Preempting, Preemption
from .rooms import BUSY, Free, Kept, Memory, Room, Space
from .turns import NONE, Holder, Place, Quota, Turns, Waiting

HELD_AFTER_SECONDS = 120.0


@dataclass(frozen=True)
class Assignment:
    """node: the first one's; others: further nodes of the gang, in their order. devices: on all of them."""

    job: int
    node: int
    devices: tuple[int, ...]
    others: tuple[int, ...] = ()


@dataclass(frozen=True)
class Placement:
    """What starts now, who is asked to leave for whom, and why each of the others waits."""

    assigned: list[Assignment] = field(default_factory=list)
    waiting: dict[int, str] = field(default_factory=dict)
    preempted: list[Preemption] = field(default_factory=list)


@dataclass(frozen=True)
class Rules:
    """spread: the least used node first instead of the fullest. least_run_seconds: None where nobody has to leave."""

    spread: bool = False
    ageing_seconds: float = 0.0
    held_after_seconds: float = HELD_AFTER_SECONDS
    least_run_seconds: float | None = None


@dataclass
class Tick:
    """One placement: the rooms, what projects hold, and what has come of it so far."""

    capacity: Mapping[Place, int]
    running: Sequence[Running]
    holding: Counter[Holder]
    quotas: Mapping[Holder, Quota]
    rules: Rules
    rooms: dict[str, Room]
    memory: Memory
    claims: Collection[int] = ()
    largest: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    placement: Placement = field(default_factory=Placement)
    # (seconds left, devices) by node of the running attempts whose end is known, the soonest first.
    ends: dict[Place, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    # (seconds left, bytes) by node of the memory that those have reserved.
    memory_ends: dict[int, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    soon_free: Counter[Place] = field(default_factory=Counter)
    soon_memory: Counter[int] = field(default_factory=Counter)
    # The least number of devices of a kind of which nobody knows when they will be free.
    unknown_from: dict[str, int] = field(default_factory=dict)
    # Why a job waits, as it was said of its like since the last device was given out or kept.
    said: dict[tuple[object, ...], str] = field(default_factory=dict)
    # What found no room since then: five thousand jobs ask, and its like would find none either.
    in_vain: set[tuple[object, ...]] = field(default_factory=set)
    # For whom no node could be kept, in this tick.
    not_kept: set[tuple[object, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        for (_, kind), count in self.capacity.items():
            self.largest[kind].append(count)
        for counts in self.largest.values():
            counts.sort(reverse=True)
        for one in self.running:
            if one.ending:
                self.soon_free.update(one.places)
                self.soon_memory.update({node: one.memory_bytes for node, _ in one.places})
            elif one.seconds_left is not None:
                for where, devices in one.places.items():
                    self.ends[where].append((one.seconds_left, devices))
                    if one.memory_bytes:
                        self.memory_ends[where[0]].append((one.seconds_left, one.memory_bytes))
        for ends in (*self.ends.values(), *self.memory_ends.values()):
            ends.sort()

    def work(self, jobs: Sequence[Waiting]) -> Placement:
        by_kind: dict[str, list[Waiting]] = defaultdict(list)
        for job in jobs:
            by_kind[job.kind].append(job)
        # GPUs first: the main memory beside them is theirs before it is that of CPU slots.
        for kind in sorted(by_kind, reverse=True):
            self.place_kind(kind, self.claimed(by_kind[kind]))
        return self.placement

    def place_kind(self, kind: str, jobs: Sequence[Waiting]) -> None:
        self.changed()
        self.not_kept.clear()
        left: list[Waiting] = []
        for job in Turns(jobs, self.holding, self.quotas, self.rules.ageing_seconds):
            if self.is_over(job):
                quota = self.quotas[job.project, kind]
                held = self.holding[job.project, kind]
                self.placement.waiting[job.job] = reasons.over_quota(job, held, quota)
                continue
            like = (job.min_devices, job.max_nodes, job.nodes, job.asked, job.memory_bytes)
            if (like, job.seconds) in self.in_vain or not self.start(job):
                self.in_vain.add((like, job.seconds))
                left.append(job)
                self.placement.waiting[job.job] = self.reason(job, like)
                self.keep_for(job, like)
        if self.rules.least_run_seconds is not None and self.running:
            self.preempt(left, self.rules.least_run_seconds)

    def is_over(self, job: Waiting) -> bool:
        most = self.quotas.get((job.project, job.kind), NONE).most
        return most is not None and self.holding[job.project, job.kind] + job.min_devices > most

    def start(self, job: Waiting) -> bool:
        """Give the job its devices, if they are there."""
        room = self.rooms[job.kind]
        chosen = room.choose(job)
        if not chosen:
            return False
        most, limit = job.max_devices, self.quotas.get((job.project, job.kind), NONE).most
        if limit is not None:
            most = min(most, limit - self.holding[job.project, job.kind])
        self.changed()
        taken: list[Free] = []
        for where in chosen:
            taken += room.take(job, where, most - len(taken))
        nodes = list(dict.fromkeys(device.node for device in taken))
        devices = tuple(item.device for item in taken)
        self.placement.assigned.append(Assignment(job.job, nodes[0], devices, tuple(nodes[1:])))
        self.holding[job.project, job.kind] += len(taken)
        return True

    def claimed(self, jobs: Sequence[Waiting]) -> list[Waiting]:
        """Start the jobs that others have left for, or keep what is theirs. Returns the jobs without such a claim."""
        leaving: dict[int, list[Running]] = defaultdict(list)
        for one in self.running:
            if one.leaves_for is not None:
                leaving[one.leaves_for].append(one)
        others = []
        for job in jobs:
            if (job.job not in self.claims and job.job not in leaving) or not self.claim(
                job, leaving[job.job]
            ):
                others.append(job)
        return others

    def claim(self, job: Waiting, leaving: Sequence[Running]) -> bool:
        if self.is_over(job):
            return False
        if self.start(job):
            return True
        room = self.rooms[job.kind]
        giving = [one.as_it_was_asked() for one in leaving]
        coming: Counter[Place] = Counter()
        for each in giving:
            coming.update(each.gives)
        there = self.there(job, giving)
        chosen = sorted(there, key=lambda where: (-coming[where], -there[where].devices, where))[
            : job.max_nodes
        ]
        have = sum(there[where].devices for where in chosen)
        if not coming or have < job.min_devices:
            return False  # a node has failed meanwhile, or was cordoned
        extra = have - job.min_devices if len(chosen) == 1 else 0
        for where in chosen:
            free = len(room.free.get(where, ()))
            self.keep(job, where, extra=min(extra, free), there_bytes=there[where].memory_bytes)
        # It counts as the job's by now, so that nobody is asked twice.
        self.holding[job.project, job.kind] += job.min_devices
        for each in giving:
            self.holding[each.one.project, each.one.kind] -= each.devices
        self.placement.waiting[job.job] = reasons.left_for(job, giving)
        return True

    def there(self, job: Waiting, giving: Sequence[Leaving] = ()) -> dict[Place, Space]:
        """What the job finds on each open node that has its memory, once those have given back what they were asked."""
        coming: Counter[Place] = Counter(self.soon_free)
        memory: Counter[int] = Counter(self.soon_memory)
        for each in giving:
            coming.update(each.gives)
            memory.update({where[0]: each.memory_at(where) for where in each.gives})
        spaces = {
            where: Space(open_now.devices + coming[where], open_now.memory_bytes + memory[where[0]])
            for where, open_now in self.rooms[job.kind].open_places(job, self.capacity).items()
        }
        if not job.memory_bytes or not giving:
            return spaces
        return {where: space for where, space in spaces.items() if space.memory_bytes >= job.memory_bytes}

    def keep(
        self, job: Waiting, where: Place, seconds: float = 0.0, extra: int = 0, there_bytes: float = 0.0
    ) -> None:
        """there_bytes: memory of the node by the time at which the job starts."""
        self.changed()
        extra_bytes = there_bytes - job.memory_bytes if job.memory_bytes else inf
        self.rooms[job.kind].keep(
            where, Kept(job.job, job.min_devices, seconds, extra, max(0.0, extra_bytes))
        )

    def changed(self) -> None:
        """A device was given out or kept: what was said and found before may be otherwise now."""
        self.said.clear()
        self.in_vain.clear()

    def keep_for(self, job: Waiting, like: tuple[object, ...]) -> None:
        """Keep a node for the first job that does not fit, so that nothing behind it delays it."""
        room, counts = self.rooms[job.kind], self.largest[job.kind]
        if room.kept_first or job.max_nodes > 1 or not counts or counts[0] < job.min_devices:
            return
        patient = job.waited_seconds >= self.rules.held_after_seconds
        known = job.min_devices < self.unknown_from.get(job.kind, job.min_devices + 1)
        if (not patient and not (known and self.ends)) or (like, patient) in self.not_kept:
            return
        able = [
            where
            for where, count in self.capacity.items()
            if where[1] == job.kind
            and count >= job.min_devices
            and where not in room.kept
            and job.may_use(where)
        ]
        ends = ((self.fits_in(job, where), where) for where in able)
        seconds, where = min(
            ((seconds, where) for seconds, where in ends if seconds is not None), default=(None, None)
        )
        if seconds is not None and where is not None:
            there = len(room.free.get(where, ())) + by_then(self.ends.get(where, ()), seconds)
            memory = self.memory.open_to(job, where[0]) + by_then(self.memory_ends.get(where[0], ()), seconds)
            self.keep(job, where, seconds, there - job.min_devices, memory)
            room.kept_first = True
            return
        if job.nodes is None:
            self.unknown_from[job.kind] = job.min_devices
        if able and patient:
            self.keep(job, min(able, key=lambda where: (-len(room.free.get(where, ())), where)))
            room.kept_first = True
        else:
            self.not_kept.add((like, patient))

    def fits_in(self, job: Waiting, where: Place) -> float | None:
        """Seconds until the node has room for the job by what is known of its running jobs; None: nobody knows."""
        missing = job.min_devices - len(self.rooms[job.kind].free.get(where, ()))
        found = [filled(missing, self.ends.get(where, ()))]
        if job.memory_bytes:
            missing_bytes = job.memory_bytes - self.memory.open_to(job, where[0])
            found.append(filled(missing_bytes, self.memory_ends.get(where[0], ())))
        seconds = [each for each in found if each is not None]
        return max(seconds) if len(seconds) == len(found) else None

    def preempt(self, left: Sequence[Waiting], least_run_seconds: float) -> None:
        """Ask attempts to leave for the jobs that have a right to it, in their order."""
        preempting = Preempting(self.running, self.quotas, self.holding, least_run_seconds)
        if not preempting.candidates:
            return
        waited_for = {one.leaves_for for one in self.running}
        for job in left:
            if job.job in waited_for or sum(self.counts(job)[: job.max_nodes]) < job.min_devices:
                continue
            found = preempting.victims(job, partial(self.there, job))
            if found is None:
                continue
            self.placement.preempted.append(found)
            leaving = [
                replace(one, keeps=found.keeps.get(one.attempt, {}))
                for one in self.running
                if one.attempt in found.attempts
            ]
            # By the same way as from the next tick on: what will be the job's is nobody else's.
            self.claim(job, leaving)

    def reason(self, job: Waiting, like: tuple[object, ...]) -> str:
        if like not in self.said:
            self.said[like] = self.words(job)
        return self.said[like]

    def words(self, job: Waiting) -> str:
        room = self.rooms[job.kind]
        largest = sum(self.counts(job)[: job.max_nodes])
        patient = next(
            (
                kept
                for where, kept in room.kept.items()
                if kept.job != job.job and len(room.free.get(where, ())) >= job.min_devices
            ),
            None,
        )
        most = room.most
        if job.nodes is not None:
            most = max((len(free) for where, free in room.free.items() if job.may_use(where)), default=0)
        if job.memory_bytes:
            able = [
                (len(free), self.memory.open_to(job, where[0]))
                for where, free in room.free.items()
                if job.may_use(where) and where not in room.kept
            ]
            enough = job.min_devices if job.max_nodes == 1 else 1
            left = max((memory for count, memory in able if count >= enough), default=inf)
            together = sum(sorted((count for count, _ in able), reverse=True)[: job.max_nodes])
            if left < job.memory_bytes and together >= job.min_devices:
                return reasons.memory(job, left)
        return reasons.waits(job, most, largest, patient.least if patient else None)

    def counts(self, job: Waiting) -> list[int]:
        """Devices of the nodes that it may use, the largest first."""
        if job.nodes is None:
            return self.largest[job.kind]
        able = (
            count for where, count in self.capacity.items() if where[1] == job.kind and job.may_use(where)
        )
        return sorted(able, reverse=True)


def filled(missing: float, ends: Iterable[tuple[float, int]]) -> float | None:
    """Seconds until what ends has made up for what is missing; None where it does not."""
    if missing <= 0:
        return 0.0
    for seconds, count in ends:
        missing -= count
        if missing <= 0:
            return seconds
    return None


def by_then(ends: Iterable[tuple[float, int]], seconds: float) -> int:
    return sum(count for end, count in ends if end <= seconds)


def place(
    jobs: Iterable[Waiting],
    free: Iterable[Free],
    held: Mapping[Holder, int] | None = None,
    capacity: Mapping[Place, int] | None = None,
    running: Sequence[Running] = (),
    quotas: Mapping[Holder, Quota] | None = None,
    rules: Rules = Rules(),
    claims: Collection[int] = (),
    memory: Mapping[int, int] | None = None,
) -> Placement:
    """Assign free devices to waiting jobs, and say who is to leave for one that has a right to more.

    held: devices each project holds now, by kind. capacity: devices that each open node has, free or not; it tells a
    job that must wait for others from one that no node can ever take. running: what holds devices. claims: jobs for
    which others have just left. memory: of each node, in bytes, what nothing that runs there has reserved.
    """
    store = Memory(dict(memory or {}))
    rooms: dict[str, Room] = defaultdict(lambda: Room(rules.spread, store))
    for device in sorted(free, key=lambda item: (item.load >= BUSY, item.index)):
        rooms[device.kind].free[device.node, device.kind].append(device)
    tick = Tick(capacity or {}, running, Counter(held or {}), quotas or {}, rules, rooms, store, claims)
    return tick.work(list(jobs))


def placed_again(
    job: Waiting,
    free: Iterable[Free],
    wanted: int,
    had: int,
    leave: Iterable[int] = (),
    memory: Mapping[int, int] | None = None,
    rules: Rules = Rules(),
) -> Assignment | None:
    """A gang for a job that has just given its devices back in order to have `wanted`: those, or as many as it had.

    free: with those given back. leave: nodes to be left, if that can be. None where not even its least is there.
    """
    free, left = list(free), set(leave)
    elsewhere = [device for device in free if device.node not in left]
    tries = [(elsewhere, wanted, wanted), (elsewhere, job.min_devices, wanted)] if left else []
    tries += [(free, wanted, wanted), (free, had, had), (free, job.min_devices, max(wanted, had))]
    for devices, least, most in tries:
        asked = replace(job, min_devices=least, max_devices=most)
        found = place([asked], devices, rules=rules, memory=memory).assigned
        if found:
            return found[0]
    return None
