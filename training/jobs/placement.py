"""Which waiting job gets which free devices: pure, so that a tick can be tested without a database.

A gang is placed whole, on one node unless it may span several, or not at all, in the order of `turns`. A job that does
not fit lets those behind it go ahead where they do not delay it: a node is kept for the first of its kind, on which
only what will have ended by then, or needs none of its devices, is placed. Where nobody knows when the running jobs
will end, that node is the one with most room, kept from `held_after_seconds` on. `preemption` says who leaves.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from . import reasons
from .preemption import Place, Preempting, Preemption, Running
from .rooms import BUSY, Free, Kept, Room
from .turns import NONE, Holder, Quota, Turns, Waiting

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
    claims: Collection[int] = ()
    largest: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    placement: Placement = field(default_factory=Placement)
    # (seconds left, devices) by node of the running attempts whose end is known, the soonest first.
    ends: dict[Place, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    soon_free: Counter[Place] = field(default_factory=Counter)
    # The least number of devices of a kind of which nobody knows when they will be free.
    unknown_from: dict[str, int] = field(default_factory=dict)
    # Why a job waits, as it was said of its like since the last device was given out or kept.
    said: dict[tuple[object, ...], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for (_, kind), count in self.capacity.items():
            self.largest[kind].append(count)
        for counts in self.largest.values():
            counts.sort(reverse=True)
        for one in self.running:
            if one.ending:
                self.soon_free.update(one.places)
            elif one.seconds_left is not None:
                for where, devices in one.places.items():
                    self.ends[where].append((one.seconds_left, devices))
        for ends in self.ends.values():
            ends.sort()

    def work(self, jobs: Sequence[Waiting]) -> Placement:
        by_kind: dict[str, list[Waiting]] = defaultdict(list)
        for job in jobs:
            by_kind[job.kind].append(job)
        for kind in sorted(by_kind):
            self.place_kind(kind, self.claimed(by_kind[kind]))
        return self.placement

    def place_kind(self, kind: str, jobs: Sequence[Waiting]) -> None:
        left: list[Waiting] = []
        for job in Turns(jobs, self.holding, self.quotas, self.rules.ageing_seconds):
            if self.is_over(job):
                quota = self.quotas[job.project, kind]
                held = self.holding[job.project, kind]
                self.placement.waiting[job.job] = reasons.over_quota(job, held, quota)
            elif not self.start(job):
                left.append(job)
                self.placement.waiting[job.job] = self.reason(job)
                self.keep_for(job)
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
        self.said.clear()
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
        coming: Counter[Place] = Counter()
        for one in leaving:
            coming.update(one.places)
        open_now = room.open_places(job, self.capacity)
        there = {where: count + coming[where] + self.soon_free[where] for where, count in open_now.items()}
        chosen = sorted(there, key=lambda where: (-coming[where], -there[where], where))[: job.max_nodes]
        have = sum(there[where] for where in chosen)
        if not coming or have < job.min_devices:
            return False  # a node has failed meanwhile, or was drained
        extra = have - job.min_devices if len(chosen) == 1 else 0
        for where in chosen:
            self.said.clear()
            room.keep(where, Kept(job.job, job.min_devices, extra=min(extra, len(room.free.get(where, ())))))
        # It counts as the job's by now, so that nobody is asked twice.
        self.holding[job.project, job.kind] += job.min_devices
        for one in leaving:
            self.holding[one.project, one.kind] -= one.devices
        self.placement.waiting[job.job] = reasons.left_for(job, len(leaving))
        return True

    def keep_for(self, job: Waiting) -> None:
        """Keep a node for the first job that does not fit, so that nothing behind it delays it."""
        room, counts = self.rooms[job.kind], self.largest[job.kind]
        if room.kept_first or job.max_nodes > 1 or not counts or counts[0] < job.min_devices:
            return
        patient = job.waited_seconds >= self.rules.held_after_seconds
        known = job.min_devices < self.unknown_from.get(job.kind, job.min_devices + 1)
        if not patient and not (known and self.ends):
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
            there = len(room.free.get(where, ())) + sum(n for end, n in self.ends[where] if end <= seconds)
            self.said.clear()
            room.keep(where, Kept(job.job, job.min_devices, seconds, there - job.min_devices))
            room.kept_first = True
            return
        if job.nodes is None:
            self.unknown_from[job.kind] = job.min_devices
        if able and patient:
            where = min(able, key=lambda where: (-len(room.free.get(where, ())), where))
            self.said.clear()
            room.keep(where, Kept(job.job, job.min_devices))
            room.kept_first = True

    def fits_in(self, job: Waiting, where: Place) -> float | None:
        """Seconds until the node has room for the job by what is known of its running jobs; None: nobody knows."""
        missing = job.min_devices - len(self.rooms[job.kind].free.get(where, ()))
        for seconds, count in self.ends.get(where, ()):
            missing -= count
            if missing <= 0:
                return seconds
        return None

    def preempt(self, left: Sequence[Waiting], least_run_seconds: float) -> None:
        """Ask attempts to leave for the jobs that have a right to it, in their order."""
        preempting = Preempting(self.running, self.quotas, self.holding, least_run_seconds)
        if not preempting.candidates:
            return
        waited_for = {one.leaves_for for one in self.running}
        for job in left:
            if job.job in waited_for or sum(self.counts(job)[: job.max_nodes]) < job.min_devices:
                continue
            room = self.rooms[job.kind]
            found = preempting.victims(job, partial(room.open_places, job, self.capacity))
            if found is None:
                continue
            self.placement.preempted.append(found)
            leaving = [one for one in self.running if one.attempt in found.attempts]
            # By the same way as from the next tick on: what will be the job's is nobody else's.
            self.claim(job, leaving)

    def reason(self, job: Waiting) -> str:
        like = (job.kind, job.min_devices, job.max_nodes, job.nodes, job.asked)
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
        return reasons.waits(job, most, largest, patient.least if patient else None)

    def counts(self, job: Waiting) -> list[int]:
        """Devices of the nodes that it may use, the largest first."""
        if job.nodes is None:
            return self.largest[job.kind]
        able = (
            count for where, count in self.capacity.items() if where[1] == job.kind and job.may_use(where)
        )
        return sorted(able, reverse=True)


def place(
    jobs: Iterable[Waiting],
    free: Iterable[Free],
    held: Mapping[Holder, int] | None = None,
    capacity: Mapping[Place, int] | None = None,
    running: Sequence[Running] = (),
    quotas: Mapping[Holder, Quota] | None = None,
    rules: Rules = Rules(),
    claims: Collection[int] = (),
) -> Placement:
    """Assign free devices to waiting jobs, and say who is to leave for one that has a right to more.

    held: devices each project holds now, by kind. capacity: devices that each open node has, free or not; it tells a
    job that must wait for others from one that no node can ever take. running: what holds devices. claims: jobs for
    which others have just left.
    """
    rooms: dict[str, Room] = defaultdict(lambda: Room(rules.spread))
    for device in sorted(free, key=lambda item: (item.load >= BUSY, item.index)):
        rooms[device.kind].free[device.node, device.kind].append(device)
    tick = Tick(capacity or {}, running, Counter(held or {}), quotas or {}, rules, rooms, claims)
    return tick.work(list(jobs))


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
