"""What a placement tick reads of the tables, as the values of `placement`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from monitoring.models import Device, Node
from training.models import Attempt, DeviceLease, JobState, Quota

from . import memory, passing_over, queued, turns, yielding
from .devices import cool_and_hot, usable, usable_devices
from .giving_way import Running
from .placement import Placement, Rules, place
from .turns import Holder, Place, Waiting, class_of

# What others left for a job is kept for it so long after they have gone; it takes it at the next tick.
CLAIM = timedelta(seconds=30)
MOST_NAMED = 3


def planned(now: datetime | None = None, rows: Sequence[queued.Row] | None = None) -> Placement:
    """What is to start now, who is to leave, and why the others wait. rows: of `queued.rows`, where they are read."""
    now = now or timezone.now()
    jobs = queued.values_of(queued.rows() if rows is None else rows, now)
    if not jobs:
        return Placement()
    quotas = all_quotas()
    counts = list(usable_devices().values_list("node_id", "kind").annotate(Count("pk")).order_by("node_id"))
    jobs = elsewhere(jobs, counts, now)
    rules = current_rules()
    running, held = running_now(jobs, quotas, rules, now)
    free, hot = cool_and_hot()
    asked = any(job.memory_bytes for job in jobs)
    placement = place(
        jobs,
        free,
        held,
        {(node, kind): count - hot[node, kind] for node, kind, count in counts},
        running,
        quotas,
        rules,
        claims(now),
        memory.left_by_node() if asked else None,
    )
    for kind, nodes, words in passing_over.told_of_nodes():
        for job in jobs:
            if job.job in placement.waiting and job.kind == kind and (job.nodes is None or job.nodes & nodes):
                placement.waiting[job.job] += f"; {words}"
    told_of_cordoned(jobs, counts, placement)
    return placement


def told_of_cordoned(
    jobs: Sequence[Waiting], counts: Sequence[tuple[int, str, int]], placement: Placement
) -> None:
    """Name the cordoned nodes to jobs that the open ones could not take if all their devices were free."""
    rows = (
        Node.objects.filter(cordoned=True, state=Node.State.ONLINE, devices__removed=False)
        .order_by("name")
        .distinct()
    )
    shut = list(rows.values_list("pk", "name", "draining", "devices__kind"))
    said: dict[tuple[object, ...], str] = {}
    for job in jobs if shut else []:
        if job.job not in placement.waiting:
            continue
        like = (job.kind, job.min_devices, job.max_nodes, job.nodes)
        if like not in said:
            open_ones = sorted(
                (count for node, kind, count in counts if is_for(job, node, kind)), reverse=True
            )
            few = sum(open_ones[: job.max_nodes]) < job.min_devices
            closed = [(name, draining) for pk, name, draining, kind in shut if few and is_for(job, pk, kind)]
            told = [
                f"{name} is {'draining' if draining else 'cordoned'}"
                for name, draining in closed[:MOST_NAMED]
            ]
            more = [f"{len(closed) - MOST_NAMED} more are"] if len(closed) > MOST_NAMED else []
            said[like] = ", ".join(told + more)
        if said[like]:
            placement.waiting[job.job] += f"; {said[like]}"


def is_for(job: Waiting, node: int, kind: str) -> bool:
    return kind == job.kind and job.may_use((node, kind))


def elsewhere(jobs: list[Waiting], counts: Sequence[tuple[int, str, int]], now: datetime) -> list[Waiting]:
    """Jobs that were lost on a node again and again go to others, where there are some, and say so."""
    lost = passing_over.lost_there(now)
    if not lost:
        return jobs
    found = []
    for job in jobs:
        seen = lost.get(job.job)
        others = seen and seen.others(job.nodes, {node for node, kind, _ in counts if kind == job.kind})
        if seen and others:
            job = replace(job, nodes=others, asked=f"{job.asked}{seen.words}")
        found.append(job)
    return found


def held_now() -> Counter[Holder]:
    """The devices that each project holds by kind."""
    rows = DeviceLease.objects.values_list("attempt__job__run__experiment__project_id", "device__kind")
    return Counter({(p, kind): count for p, kind, count in rows.annotate(Count("pk")).order_by()})


def current_rules() -> Rules:
    return Rules(
        spread=settings.PLACEMENT == "spread",
        ageing_seconds=3600 * settings.AGEING_HOURS,
        least_run_seconds=settings.PREEMPT_AFTER_SECONDS or None,
    )


def all_quotas() -> dict[Holder, turns.Quota]:
    rows = Quota.objects.values_list("project_id", "kind", "devices", "borrow")
    return {(project, kind): turns.Quota(devices, borrow) for project, kind, devices, borrow in rows}


def within_quota(job: Waiting, wanted: int, had: int) -> int:
    """The devices that a job may grow to, of those that it is wanted to have; what it had it keeps."""
    most = all_quotas().get((job.project, job.kind), turns.NONE).most
    if most is None or wanted <= had:
        return wanted
    return max(had, min(wanted, most - held_now()[job.project, job.kind]))


def running_now(
    jobs: Sequence[Waiting], quotas: dict[Holder, turns.Quota], rules: Rules, now: datetime
) -> tuple[list[Running], Counter[Holder]]:
    """The live attempts, and the devices that each project holds by kind."""
    held: Counter[Holder] = Counter()
    places: dict[int, Counter[Place]] = defaultdict(Counter)
    for attempt, project, node, kind, count, good in (
        DeviceLease.objects.values_list(
            "attempt_id", "attempt__job__run__experiment__project_id", "device__node_id", "device__kind"
        )
        .annotate(count=Count("pk"), good=Count("pk", filter=usable("device__")))
        .order_by()
        .values_list(
            "attempt_id", "attempt__job__run__experiment__project_id", "device__node_id", "device__kind", "count",
            "good",
        )
    ):  # fmt: skip
        held[project, kind] += count
        places[attempt][node, kind] += good
    live = Attempt.objects.filter(ended_at=None).values_list(
        "pk", "job__run__experiment__project_id", "job__device_kind", "job__priority", "state", "started_at",
        "preempted_for_id", "preempt_asked_at", "expected_end_at", "job__memory_bytes", "keeps",
    )  # fmt: skip
    rows = list(live)
    able = preemptible(jobs, rows, quotas) if rules.least_run_seconds is not None else {}
    keeps = places_of(row[-1] for row in rows)
    running = [
        Running(
            pk, project, kind, places.get(pk, {}), priority,
            (now - started).total_seconds() if started else 0.0,
            preemptible=pk in able,
            leaves_for=leaves_for,
            ending=state == Attempt.State.STOPPING or (asked is not None and leaves_for is None),
            seconds_left=None if ends is None else max(0.0, (ends - now).total_seconds()),
            memory_bytes=memory_bytes or 0,
            least=able.get(pk),
            keeps=Counter(keeps[device] for device in kept if device in keeps),
        )
        for pk, project, kind, priority, state, started, leaves_for, asked, ends, memory_bytes, kept in rows
    ]  # fmt: skip
    return running, held


def preemptible(
    jobs: Sequence[Waiting], rows: Sequence[tuple[Any, ...]], quotas: dict[Holder, turns.Quota]
) -> dict[int, int | None]:
    """The attempts that may be asked to leave at all, looked for where a waiting job may have a right to it; with the
    devices that each can go on with, where its process can be asked that."""
    least = min((class_of(row[3]) for row in rows), default=0)
    if not quotas and not any(class_of(job.priority) > least for job in jobs):
        return {}
    asked = yielding.askable()
    able: dict[int, int | None] = dict.fromkeys(asked.values_list("pk", flat=True))
    return able | dict(asked.filter(yielding.OFFERS_RESCALE).values_list("pk", "job__min_devices"))


def places_of(kept: Iterable[list[int]]) -> dict[int, Place]:
    """Where these devices are, by their id."""
    pks = {pk for devices in kept for pk in devices}
    if not pks:
        return {}
    rows = Device.objects.filter(pk__in=pks).values_list("pk", "node_id", "kind")
    return {pk: (node, kind) for pk, node, kind in rows}


def claims(now: datetime) -> set[int]:
    """Queued jobs for which others have left just now."""
    left = Attempt.objects.filter(ended_at__gte=now - CLAIM, preempted_for__state=JobState.QUEUED)
    return set(left.values_list("preempted_for_id", flat=True))
