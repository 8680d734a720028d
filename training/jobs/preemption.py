"""Which running attempts have to leave for a waiting job: pure.

    by quota      a job that fits into its project's quota asks back what others have borrowed
    by priority   a job of a higher class (turns.class_of), within its project or from what others have borrowed

Never for nothing: only where the gang then fits. Never more than needed: no attempt leaves whose devices are not used.
Never back and forth: an attempt has run for a while first, and who left has no claim by which it came back at once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from .turns import NONE, Holder, Quota, Waiting, class_of, is_own

Place = tuple[int, str]  # node, kind of device
MOST_TRIED_AT_ONCE = 10  # attempts on a node whose every combination is looked at


@dataclass(frozen=True)
class Running:
    """A live attempt and what it holds. leaves_for: the waiting job that it was asked to leave for.
    ending: it is on its way out for another reason. seconds_left: until its end, None where nobody knows."""

    attempt: int
    project: int
    kind: str
    places: Mapping[Place, int]
    priority: int = 0
    ran_seconds: float = 0.0
    preemptible: bool = False
    leaves_for: int | None = None
    ending: bool = False
    seconds_left: float | None = None

    @property
    def devices(self) -> int:
        return sum(self.places.values())


@dataclass(frozen=True)
class Preemption:
    """These attempts leave for the job. owed: by quota, not by priority."""

    job: int
    attempts: tuple[int, ...]
    owed: bool


Allowed = Callable[[Sequence[Running]], bool]


@dataclass
class Preempting:
    """The running attempts of a tick, and who may be asked to leave for whom."""

    running: Sequence[Running]
    quotas: Mapping[Holder, Quota]
    holding: Mapping[Holder, int]
    least_run_seconds: float
    tried: set[tuple[object, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.candidates = [
            one for one in self.running if one.preemptible and one.leaves_for is None and not one.ending
        ]
        self.soon_free: dict[Place, int] = defaultdict(int)
        for one in self.running:
            if one.ending:
                for place, count in one.places.items():
                    self.soon_free[place] += count

    def victims(self, job: Waiting, free: Callable[[], Mapping[Place, int]]) -> Preemption | None:
        """Who leaves for the job; None where nobody may, or where it would not fit even then.

        free: gives the free devices by node, of all nodes that are open to the job.
        """
        quota = self.quotas.get((job.project, job.kind), NONE)
        owed = is_own(job, self.holding.get((job.project, job.kind), 0), quota)
        # Five thousand jobs ask; what was in vain for one is in vain for its like.
        like = (
            job.kind,
            job.min_devices,
            job.max_nodes,
            class_of(job.priority),
            job.project,
            owed,
            job.nodes,
        )
        if like in self.tried:
            return None
        able = [one for one in self.candidates if self.gives_way(one, job, owed)]
        chosen = fewest(job, able, free(), self.soon_free, self.leaves_each_its_own(job)) if able else None
        if not chosen:
            self.tried.add(like)
            return None
        leave = {one.attempt for one in chosen}
        self.candidates = [one for one in self.candidates if one.attempt not in leave]
        return Preemption(job.job, tuple(sorted(leave)), owed)

    def leaves_each_its_own(self, job: Waiting) -> Allowed:
        """Whether each of some attempts still uses what its project has borrowed, the largest of them leaving last."""

        def allowed(some: Sequence[Running]) -> bool:
            of: dict[int, list[int]] = defaultdict(list)
            for one in some:
                of[one.project].append(one.devices)
            return all(
                self.borrowed(project, job.kind) > sum(devices) - max(devices)
                for project, devices in of.items()
                if project != job.project
            )

        return allowed

    def borrowed(self, project: int, kind: str) -> int:
        return self.holding.get((project, kind), 0) - self.quotas.get((project, kind), NONE).devices

    def gives_way(self, one: Running, job: Waiting, owed: bool) -> bool:
        if one.kind != job.kind or one.ran_seconds < self.least_run_seconds:
            return False
        higher = class_of(job.priority) > class_of(one.priority)
        if one.project == job.project:
            return higher
        return self.borrowed(one.project, one.kind) > 0 and (owed or higher)


def fewest(
    job: Waiting,
    able: Sequence[Running],
    free: Mapping[Place, int],
    soon: Mapping[Place, int],
    allowed: Allowed,
) -> list[Running] | None:
    """The attempts whose end makes room for the job at the least cost; [] where what ends anyway is enough."""
    open_at = {place: count + soon.get(place, 0) for place, count in sorted(free.items())}
    here: dict[Place, list[Running]] = defaultdict(list)
    for one in able:
        for place in one.places:
            here[place].append(one)
    if job.max_nodes > 1:
        return over_nodes(job, here, open_at, allowed)
    best: tuple[tuple[float, ...], list[Running]] | None = None
    for place, there in open_at.items():
        found = at_one(job.min_devices - there, here[place], place, allowed)
        if found is not None and (best is None or cost(found) < best[0]):
            best = cost(found), found
    return None if best is None else best[1]


def cost(victims: Sequence[Running]) -> tuple[float, ...]:
    """First that none of a higher class leaves than must, then few attempts, few devices, little work done."""
    return (
        max((class_of(one.priority) for one in victims), default=-(10**6)),
        len(victims),
        sum(one.devices for one in victims),
        sum(one.devices * one.ran_seconds for one in victims),
    )


def at_one(missing: int, there: Iterable[Running], place: Place, allowed: Allowed) -> list[Running] | None:
    """The cheapest attempts on one node that hold `missing` devices of it together; None where all do not."""
    if missing <= 0:
        return []
    there = sorted(
        there, key=lambda one: (class_of(one.priority), -one.places[place], one.ran_seconds, one.attempt)
    )
    if sum(one.places[place] for one in there) < missing:
        return None
    if len(there) <= MOST_TRIED_AT_ONCE:
        sets = (
            list(some)
            for count in range(1, len(there) + 1)
            for some in combinations(there, count)
            if sum(one.places[place] for one in some) >= missing and allowed(some)
        )
        return min(sets, key=cost, default=None)
    return enough_of(there, lambda some: sum(each.places[place] for each in some) >= missing, allowed)


def over_nodes(
    job: Waiting, here: Mapping[Place, Sequence[Running]], open_at: Mapping[Place, int], allowed: Allowed
) -> list[Running] | None:
    """For a gang over several nodes: the nodes with most room, made so by those of the lowest class first."""

    def enough(victims: Iterable[Running]) -> bool:
        freed = dict(open_at)
        for one in victims:
            for place, count in one.places.items():
                if place in freed:
                    freed[place] += count
        return sum(sorted(freed.values(), reverse=True)[: job.max_nodes]) >= job.min_devices

    if enough([]):
        return []
    able = {one.attempt: one for there in here.values() for one in there}
    ordered = sorted(able.values(), key=lambda one: (class_of(one.priority), -one.devices, one.attempt))
    return enough_of(ordered, enough, allowed)


def enough_of(
    ordered: Iterable[Running], enough: Callable[[Sequence[Running]], bool], allowed: Allowed
) -> list[Running] | None:
    """The first of them that are enough together, without those that are not needed; None where all are too few."""
    chosen: list[Running] = []
    for one in ordered:
        if allowed([*chosen, one]):
            chosen.append(one)
        if enough(chosen):
            break
    else:
        return None
    # The dearest are let off first.
    for one in sorted(chosen, key=lambda one: (-class_of(one.priority), -one.devices)):
        fewer = [each for each in chosen if each is not one]
        if enough(fewer):
            chosen = fewer
    return chosen
