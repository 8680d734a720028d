"""When what runs will end and what waits will start, as far as anything tells: pure. None is an honest "nobody knows".

pace       it told how many steps it will make, and makes them at a measured pace
history    jobs of the same command in the same project took so long
asked      it was asked to make room for another job, with all of its devices or some
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from statistics import median

from .reasons import size, what
from .turns import Place, Waiting

LEAST_PAST_JOBS = 3
MOST_NAMED = 3
BY = {
    "": "",
    "asked": "what runs there was asked to make room",
    "pace": "by the pace of what runs there",
    "history": "by what such jobs took before",
}
# The weakest word counts.
DOUBT = {"": 0, "asked": 1, "pace": 2, "history": 3}


@dataclass(frozen=True)
class Slot:
    """A device, and the seconds until it is free. by: what that is known by, "" for one that is free."""

    seconds: float
    by: str = ""


@dataclass
class Store:
    """A node's main memory. held: (seconds until it is given back, bytes, by what that is known) of each part of it."""

    left: int
    held: list[tuple[float, int, str]] = field(default_factory=list)

    def open_in(self, wanted: int) -> tuple[float, str]:
        """Seconds until so many bytes are free, and by what that is known."""
        left = self.left
        if left >= wanted:
            return 0.0, ""
        for seconds, count, by in sorted(self.held):
            left += count
            if left >= wanted:
                return seconds, by
        return inf, ""

    def take(self, wanted: int, end: float) -> None:
        """Reserve until the end, from now on: who comes behind does not go past it."""
        self.left -= wanted
        self.held.append((end, wanted, "history"))


Stores = Mapping[int, Store]
EVERYTHING = Store(2**62)


@dataclass(frozen=True)
class Outlook:
    """seconds: until the job starts, None where nobody knows. words: what has to happen first."""

    seconds: float | None
    by: str
    words: str


def by_pace(ran_seconds: float, first_step: int, step: int | None, steps: int | None) -> float | None:
    """Seconds left of a run that tells how many steps it makes; of this attempt's own pace."""
    if step is None or steps is None or ran_seconds <= 0 or step <= first_step:
        return None
    return max(0.0, (steps - step) * ran_seconds / (step - first_step))


def by_history(took: Sequence[float], ran_seconds: float) -> float | None:
    """Seconds left by what such jobs took; None for too few of them, or for one that takes longer than most did."""
    if len(took) < LEAST_PAST_JOBS or median(took) <= ran_seconds:
        return None
    return median(took) - ran_seconds


def starts(
    jobs: Iterable[Waiting],
    slots: Mapping[Place, Sequence[Slot]],
    names: Mapping[int, str],
    memory: Stores | None = None,
    closed: Iterable[Place] = (),
) -> dict[int, Outlook]:
    """What each job waits for. jobs: in their turn; each takes its least where it starts soonest, and so on behind it.

    slots: the devices of the open nodes. names: of the nodes. memory: of the nodes that tell how much they have.
    closed: the cordoned nodes with a device.
    """
    stores = memory or {}
    left = {place: sorted(devices, key=lambda slot: slot.seconds) for place, devices in slots.items()}
    found = {}
    for job in jobs:
        chosen = soonest(job, left, stores)
        if chosen is None:
            shut = [
                names.get(place[0], "a node")
                for place in closed
                if place[1] == job.kind and job.may_use(place)
            ]
            found[job.job] = Outlook(None, "", too_few(job.kind, sorted(shut)))
            continue
        seconds, places = chosen
        taken: list[Slot] = []
        missing = job.min_devices
        for place in places:
            devices = [slot for slot in left[place] if slot.seconds <= seconds][:missing]
            missing -= len(devices)
            taken += devices
            end = inf if job.seconds is None else seconds + job.seconds
            rest = left[place][len(devices) :] + [Slot(end, "history")] * len(devices)
            left[place] = sorted(rest, key=lambda slot: slot.seconds)
        found[job.job] = told(job, seconds, places, taken, names, stores)
        for place in places if job.memory_bytes and seconds < inf else []:
            if place[0] in stores:
                stores[place[0]].take(job.memory_bytes, inf if job.seconds is None else seconds + job.seconds)
    return found


def too_few(kind: str, shut: Sequence[str]) -> str:
    """shut: the names of cordoned nodes that would do."""
    words = f"no open nodes have as many {what(kind, 2)[2:]}"
    if not shut:
        return f"{words}; one has to join"
    more = [f"{len(shut) - MOST_NAMED} more"] if len(shut) > MOST_NAMED else []
    *first, last = [*shut[:MOST_NAMED], *more]
    told = f"{', '.join(first)} or {last}" if first else last
    return f"{words}; {told} has to be uncordoned, or another node to join"


def soonest(
    job: Waiting, left: Mapping[Place, Sequence[Slot]], stores: Stores
) -> tuple[float, list[Place]] | None:
    """(seconds, places) where the job's least is free first; None where there are not so many devices."""
    able = [place for place in left if place[1] == job.kind and job.may_use(place)]
    memory = {place: stores.get(place[0], EVERYTHING).open_in(job.memory_bytes)[0] for place in able}
    if job.max_nodes == 1:
        ends = [
            (max(left[place][job.min_devices - 1].seconds, memory[place]), place)
            for place in able
            if len(left[place]) >= job.min_devices
        ]
        if not ends:
            return None
        seconds, place = min(ends)
        return seconds, [place]
    for seconds in sorted({slot.seconds for place in able for slot in left[place]} | set(memory.values())):
        free = {
            place: sum(slot.seconds <= seconds for slot in left[place])
            for place in able
            if memory[place] <= seconds
        }
        most = sorted(free, key=lambda place: (-free[place], place))[: job.max_nodes]
        if sum(free[place] for place in most) >= job.min_devices:
            return seconds, most
    return None


def told(
    job: Waiting,
    seconds: float,
    places: Sequence[Place],
    taken: Sequence[Slot],
    names: Mapping[int, str],
    stores: Stores,
) -> Outlook:
    where = ", ".join(names.get(node, str(node)) for node, _ in places)
    devices = what(job.kind, job.min_devices)
    memory = max(stores.get(node, EVERYTHING).open_in(job.memory_bytes) for node, _ in places)
    devices_in = max((slot.seconds for slot in taken), default=0.0)
    for_memory = job.memory_bytes > 0 and memory[0] > devices_in
    if for_memory:
        devices = f"{size(job.memory_bytes)} of memory"
    verb = "comes" if job.min_devices == 1 and not for_memory else "come"
    if seconds == inf:
        return Outlook(None, "", f"when {devices} {verb} free: what is to end before does not tell when")
    sources = [slot.by for slot in taken] + [memory[1]]
    by = max(sources, key=DOUBT.__getitem__)
    if not by:
        return Outlook(seconds, "", f"{devices} of {where} are free for it")
    return Outlook(seconds, by, f"when {devices} of {where} {verb} free, {BY[by]}")
