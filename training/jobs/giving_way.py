"""Which of some running attempts make room for a job at the least cost, and how much of what they hold: pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from .rooms import Space
from .turns import Place, Waiting, class_of

MOST_TRIED_AT_ONCE = 10  # attempts on a node whose every combination is looked at


@dataclass(frozen=True)
class Running:
    """A live attempt and what it holds. leaves_for: the waiting job that it was asked to give way to.
    keeps: what it was asked to go on with. ending: it is on its way out for another reason. seconds_left: until its
    end, None where nobody knows. memory_bytes: reserved on each of its nodes. least: devices that it can go on with
    when it is asked to; None where it cannot be asked that."""

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
    memory_bytes: int = 0
    least: int | None = None
    keeps: Mapping[Place, int] = field(default_factory=dict)

    @property
    def devices(self) -> int:
        return sum(self.places.values())

    def all_of_it(self) -> "Leaving":
        return Leaving(self, self.places)

    def beyond_its_least(self, place: Place | None = None) -> "Leaving":
        """As much as it can give and go on: of one node, or of its last nodes first. Whole, where it cannot."""
        spare = 0 if self.least is None else self.devices - self.least
        gives: dict[Place, int] = {}
        for where in sorted(self.places, reverse=True) if place is None else [place]:
            count = min(spare, self.places[where])
            if count > 0:
                gives[where] = count
                spare -= count
        return Leaving(self, gives) if gives else self.all_of_it()

    def as_it_was_asked(self) -> "Leaving":
        gives = {where: count - self.keeps.get(where, 0) for where, count in self.places.items()}
        return Leaving(self, {where: count for where, count in gives.items() if count > 0})


@dataclass(frozen=True)
class Leaving:
    """An attempt and the devices that it gives back: all, or so many that it goes on with the others."""

    one: Running
    gives: Mapping[Place, int]

    @property
    def devices(self) -> int:
        return sum(self.gives.values())

    @property
    def whole(self) -> bool:
        return self.devices == self.one.devices

    @property
    def keeps(self) -> dict[Place, int]:
        left = {where: count - self.gives.get(where, 0) for where, count in self.one.places.items()}
        return {where: count for where, count in left.items() if count}

    def memory_at(self, place: Place) -> int:
        """Main memory that it gives back there: its part on a node has all that it reserved, or is gone."""
        all_there = self.gives.get(place, 0) == self.one.places.get(place)
        return self.one.memory_bytes if all_there else 0


Allowed = Callable[[Sequence[Leaving]], bool]
Enough = Callable[[Iterable[Leaving]], bool]


def fewest(
    job: Waiting, able: Sequence[Running], there: Mapping[Place, Space], allowed: Allowed
) -> list[Leaving] | None:
    """What makes room for the job at the least cost; [] where what is free by then is enough, None where nothing is."""
    here: dict[Place, list[Running]] = defaultdict(list)
    for one in able:
        for place in one.places:
            here[place].append(one)
    if job.max_nodes > 1:
        return over_nodes(job, able, there, allowed)
    best: list[Leaving] | None = None
    for place, space in sorted(there.items(), key=lambda item: item[0]):
        found = at_one(job, space, here[place], place, allowed)
        if found is not None and (best is None or cost(found) < cost(best)):
            best = found
    return best


def cost(some: Sequence[Leaving]) -> tuple[float, ...]:
    """First that none of a higher class gives way than must, then few that end, few attempts, few devices, little work
    done."""
    return (
        max((class_of(each.one.priority) for each in some), default=-(10**6)),
        sum(each.whole for each in some),
        len(some),
        sum(each.devices for each in some),
        sum(each.devices * each.one.ran_seconds for each in some),
    )


def at_one(
    job: Waiting, space: Space, there: Sequence[Running], place: Place, allowed: Allowed
) -> list[Leaving] | None:
    """The cheapest on one node that give back what the job misses there; None where all of them do not."""
    devices, memory = job.min_devices - space.devices, job.memory_bytes - space.memory_bytes
    if not job.memory_bytes:
        memory = 0

    def enough(some: Iterable[Leaving]) -> bool:
        some = list(some)
        return (
            sum(each.gives.get(place, 0) for each in some) >= devices
            and sum(each.memory_at(place) for each in some) >= memory
        )

    if enough([]):
        return []
    if not enough(one.all_of_it() for one in there):
        return None
    ordered = in_order(there, lambda one: one.beyond_its_least(place), lambda one: one.places[place])
    if len(ordered) > MOST_TRIED_AT_ONCE:
        found = enough_of(ordered, enough, allowed)
    else:
        sets = (
            made
            for count in range(1, len(ordered) + 1)
            for some in combinations(ordered, count)
            if (made := as_little(some, enough)) is not None and allowed(made)
        )
        found = min(sets, key=cost, default=None)
    return None if found is None else trimmed(found, enough)


def over_nodes(
    job: Waiting, able: Sequence[Running], there: Mapping[Place, Space], allowed: Allowed
) -> list[Leaving] | None:
    """For a gang over several nodes: the nodes with most room, made so by those of the lowest class first."""

    def enough(some: Iterable[Leaving]) -> bool:
        devices = {place: space.devices for place, space in there.items()}
        memory = {place: space.memory_bytes for place, space in there.items()}
        for each in some:
            for place, count in each.gives.items():
                if place in devices:
                    devices[place] += count
                    memory[place] += each.memory_at(place)
        open_ones = (count for place, count in devices.items() if memory[place] >= job.memory_bytes)
        return sum(sorted(open_ones, reverse=True)[: job.max_nodes]) >= job.min_devices

    if enough([]):
        return []
    ordered = in_order(able, Running.beyond_its_least, lambda one: one.devices)
    found = enough_of(ordered, enough, allowed)
    return None if found is None else trimmed(found, enough)


def in_order(
    some: Iterable[Running], least: Callable[[Running], Leaving], size: Callable[[Running], int]
) -> list[Leaving]:
    """Each with the least that it can give; the cheapest first."""

    def key(each: Leaving) -> tuple[float, ...]:
        one = each.one
        return class_of(one.priority), each.whole, -size(one), one.ran_seconds, one.attempt

    return sorted((least(one) for one in some), key=key)


def as_little(some: Sequence[Leaving], enough: Enough) -> list[Leaving] | None:
    """All of these, and only as many of them whole as it takes; None where even that is not enough."""
    made = list(some)
    if enough(made):
        return made
    for index, each in enumerate(made):
        if not each.whole:
            made[index] = each.one.all_of_it()
            if enough(made):
                return made
    return None


def enough_of(ordered: Sequence[Leaving], enough: Enough, allowed: Allowed) -> list[Leaving] | None:
    """The first of them that are enough together, without those that are not needed; None where all are too few."""
    chosen: list[Leaving] = []
    for each in [*ordered, *(each.one.all_of_it() for each in ordered if not each.whole)]:
        others = [one for one in chosen if one.one.attempt != each.one.attempt]
        if allowed([*others, each]):
            chosen = [*others, each]
        if enough(chosen):
            break
    else:
        return None
    # The dearest are let off first.
    for each in sorted(chosen, key=lambda each: (-class_of(each.one.priority), -each.whole, -each.devices)):
        fewer = [one for one in chosen if one is not each]
        if enough(fewer):
            chosen = fewer
    return chosen


def trimmed(some: Sequence[Leaving], enough: Enough) -> list[Leaving]:
    """The same, where those that go on keep whatever is not needed."""
    made = list(some)
    for index, each in enumerate(made):
        for place in [] if each.whole else sorted(each.gives):
            while made[index].gives.get(place, 0):
                gives = {**made[index].gives, place: made[index].gives[place] - 1}
                fewer = Leaving(each.one, {where: count for where, count in gives.items() if count})
                if not enough([*made[:index], fewer, *made[index + 1 :]]):
                    break
                made[index] = fewer
    return [each for each in made if each.gives]
