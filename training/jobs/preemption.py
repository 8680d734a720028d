"""Which running attempts give way to a waiting job: pure.

    by quota      a job that fits into its project's quota asks back what others have borrowed
    by priority   a job of a higher class (turns.class_of), within its project or from what others have borrowed

An elastic attempt goes on with fewer devices, no fewer than its least, where that is enough; else it leaves whole.
Never for nothing: only where the gang then fits. Never more than needed: no attempt leaves whose devices are not used.
Never back and forth: an attempt has run for a while first, and who left has no claim by which it came back at once.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .giving_way import Leaving, Place, Running, fewest
from .rooms import Space
from .turns import NONE, Holder, Quota, Waiting, class_of, is_own

Allowed = Callable[[Sequence[Leaving]], bool]


@dataclass(frozen=True)
class Preemption:
    """These attempts give way to the job. owed: by quota, not by priority. keeps: devices by node of those that go on
    with fewer."""

    job: int
    attempts: tuple[int, ...]
    owed: bool
    keeps: Mapping[int, Mapping[Place, int]] = field(default_factory=dict)


@dataclass
class Preempting:
    """The running attempts of a tick, and who may be asked to give way to whom."""

    running: Sequence[Running]
    quotas: Mapping[Holder, Quota]
    holding: Mapping[Holder, int]
    least_run_seconds: float
    tried: set[tuple[object, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.candidates = [
            one for one in self.running if one.preemptible and one.leaves_for is None and not one.ending
        ]

    def victims(self, job: Waiting, there: Callable[[], Mapping[Place, Space]]) -> Preemption | None:
        """Who gives way to the job; None where nobody may, or where it would not fit even then.

        there: gives what will be free by node without anybody's leaving, of all nodes that are open to the job.
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
            job.memory_bytes,
        )
        if like in self.tried:
            return None
        able = [one for one in self.candidates if self.gives_way(one, job, owed)]
        chosen = fewest(job, able, there(), self.leaves_each_its_own(job)) if able else None
        if not chosen:
            self.tried.add(like)
            return None
        asked = {each.one.attempt for each in chosen}
        self.candidates = [one for one in self.candidates if one.attempt not in asked]
        keeps = {each.one.attempt: each.keeps for each in chosen if not each.whole}
        return Preemption(job.job, tuple(sorted(asked)), owed, keeps)

    def leaves_each_its_own(self, job: Waiting) -> Allowed:
        """Whether each of some attempts still uses what its project has borrowed, the largest of them leaving last."""

        def allowed(some: Sequence[Leaving]) -> bool:
            of: dict[int, list[int]] = defaultdict(list)
            for each in some:
                of[each.one.project].append(each.devices)
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
