"""Writes down when attempts will have ended, and when waiting jobs will start: a slow tick beside placement's."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import inf
from typing import Any

from django.conf import settings
from django.utils import timezone

from monitoring.live.publish import publish_change
from monitoring.models import Node
from training.models import Attempt, DeviceLease, Job, JobState, Tunable

from . import memory, planning, queued
from .devices import cool_and_hot, usable
from .outlook import Slot, Store, by_history, by_pace, starts
from .submit import hurry, script_of
from .turns import Place, Waiting, in_turn

# So many of the queue are told when they will start; of those behind, nobody could know.
FORETOLD = 200
PAST_JOBS = 20
LENGTHS = ("total_steps", "max_steps", "steps")
# An estimate that moved by less is the same.
SAME = timedelta(seconds=60)

Like = tuple[int, str]  # project, script

seen: list[Any] = []  # the nodes as they were when this process last placed


def tick(now: datetime | None = None) -> int:
    """Bring both up to date. Returns of how many waiting jobs something changed."""
    now = now or timezone.now()
    past = took()
    going_on = expect_ends(now, past)
    return expect_starts(now, past, going_on)


def follow_nodes() -> None:
    """Called at each tick of placement: what was foretold is old once a node was closed, opened or lost."""
    now = list(Node.objects.order_by("pk").values_list("pk", "state", "cordoned", "passed_over_until"))
    if now != seen:
        seen[:] = now
        hurry("training.expect")


def took() -> dict[Like, list[float]]:
    """Seconds that the newest finished jobs of a kind took, from their first start to their end."""
    done = Job.objects.filter(state=JobState.DONE, run__started_at__isnull=False, ended_at__isnull=False)
    rows = done.order_by("-id").values_list(
        "run__experiment__project_id", "argv", "run__started_at", "ended_at"
    )
    found: dict[Like, list[float]] = defaultdict(list)
    for project, argv, started, ended in rows[:2000]:
        like = found[project, script_of(argv)]
        if len(like) < PAST_JOBS and started is not None and ended is not None:
            like.append((ended - started).total_seconds())
    return found


def expect_ends(now: datetime, past: dict[Like, list[float]]) -> dict[int, Slot]:
    """Returns, of the attempts that were asked to go on with fewer devices, when those that they keep will be free."""
    live = Attempt.objects.filter(ended_at=None).select_related("job__run__experiment", "resumed_from")
    attempts = list(live)
    told = Tunable.objects.filter(role="total_steps", run__job__attempts__in=attempts)
    steps: dict[int, Any] = dict(told.values_list("run_id", "value"))
    going_on = {}
    for attempt in attempts:
        seconds, by = seconds_left(attempt, steps.get(attempt.job.run_id), past, now)
        if attempt.preempt_asked_at is not None:
            if attempt.keeps:
                going_on[attempt.pk] = Slot(inf if seconds is None else seconds, by or "pace")
            seconds, by = settings.PREEMPT_GRACE_SECONDS, "asked"
        end = None if seconds is None else now + timedelta(seconds=seconds)
        before = attempt.expected_end_at
        moved = (end is None) != (before is None) or (
            end is not None and before is not None and abs(end - before) > SAME
        )
        if moved or by != attempt.expected_by:
            Attempt.objects.filter(pk=attempt.pk).update(expected_end_at=end, expected_by=by)
    return going_on


def seconds_left(
    attempt: Attempt, steps: Any, past: dict[Like, list[float]], now: datetime
) -> tuple[float | None, str]:
    """(seconds to the end of its training, what they are known by); None and "" where nothing tells."""
    run = attempt.job.run
    if attempt.started_at is None:
        return None, ""
    ran = (now - attempt.started_at).total_seconds()
    total = next((n for n in (steps, *(run.config.get(name) for name in LENGTHS)) if is_count(n)), None)
    first = 0 if attempt.resumed_from is None else attempt.resumed_from.step
    pace = by_pace(ran, first, run.last_step, total)
    if pace is not None:
        return pace, "pace"
    since = run.started_at or attempt.started_at
    history = by_history(past.get(like_of(attempt.job), ()), (now - since).total_seconds())
    return history, "" if history is None else "history"


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def like_of(job: Job) -> Like:
    return job.run.experiment.project_id, script_of(job.argv)


def expect_starts(now: datetime, past: dict[Like, list[float]], going_on: Mapping[int, Slot]) -> int:
    rows = queued.waiting()
    held = planning.held_now()
    order = in_turn(rows, held, planning.all_quotas(), planning.current_rules().ageing_seconds)[:FORETOLD]
    known = {job.job: job for job in rows}
    jobs = Job.objects.select_related("run__experiment").in_bulk(order)
    durations = {pk: past.get(like_of(job), []) for pk, job in jobs.items()}
    asked: list[Waiting] = []
    for pk in order:
        history = by_history(durations.get(pk, ()), 0.0)
        asked.append(Waiting(**{**vars(known[pk]), "seconds": history}))
    names = dict(Node.objects.values_list("pk", "name"))
    shut = Node.objects.filter(cordoned=True, devices__removed=False).values_list("pk", "devices__kind")
    outlooks = starts(asked, slots(now, going_on), names, stores(asked, now), shut.distinct())
    changed = 0
    for pk, found in outlooks.items():
        job = jobs.get(pk)
        if job is None:
            continue
        at = None if found.seconds is None else now + timedelta(seconds=found.seconds)
        # For backfill a job is as long as the longest of its like.
        longest = max(durations[pk]) if by_history(durations[pk], 0.0) is not None else None
        new = {
            "starts_at": None if at is None else at.isoformat(),
            "by": found.by,
            "words": found.words,
            "seconds": longest,
        }
        if not same(job.outlook, new, at):
            Job.objects.filter(pk=pk, state=JobState.QUEUED).update(outlook=new)
            changed += 1
    # What fell behind the first so many, or started, is not foretold any more.
    Job.objects.exclude(outlook={}).exclude(pk__in=order).update(outlook={})
    if changed:
        publish_change("queue", "job", {"state": JobState.QUEUED})
    return changed


def same(before: dict[str, Any], new: dict[str, Any], at: datetime | None) -> bool:
    if {**before, "starts_at": None} != {**new, "starts_at": None}:
        return False
    was = before.get("starts_at")
    if was is None or at is None:
        return was is None and at is None
    return abs(datetime.fromisoformat(was) - at) <= SAME


def slots(now: datetime, going_on: Mapping[int, Slot]) -> dict[Place, list[Slot]]:
    """The devices of the open nodes: free ones, and when the others will be. going_on: by attempt, of what it keeps."""
    found: dict[Place, list[Slot]] = defaultdict(list)
    for device in cool_and_hot()[0]:
        found[device.node, device.kind].append(Slot(0.0))
    leases = DeviceLease.objects.filter(usable("device__")).values_list(
        "device_id", "device__node_id", "device__kind", "attempt_id", "attempt__keeps", "attempt__expected_end_at",
        "attempt__expected_by",
    )  # fmt: skip
    for device_id, node, kind, attempt, keeps, end, by in leases:
        if attempt in going_on and device_id in keeps:
            found[node, kind].append(going_on[attempt])
            continue
        seconds = inf if end is None else max(0.0, (end - now).total_seconds())
        found[node, kind].append(Slot(seconds, by or "pace"))
    return found


def stores(asked: Sequence[Waiting], now: datetime) -> dict[int, Store]:
    """The nodes' main memory, where any job asks for some: what is left of it, and when more will be."""
    if not any(job.memory_bytes for job in asked):
        return {}
    found = {node: Store(left) for node, left in memory.left_by_node().items()}
    for node, count, end, by in memory.reservations():
        if node in found:
            seconds = inf if end is None else max(0.0, (end - now).total_seconds())
            found[node].held.append((seconds, count, by or "pace"))
    return found
