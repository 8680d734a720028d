"""Celery's part in jobs: short messages. The tables are the truth; each task can come twice or never."""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, F, OuterRef, Subquery, Window
from django.db.models.functions import Coalesce, Now, RowNumber
from django.utils import timezone

from monitoring import nodes
from monitoring.live.publish import publish_change
from training import ledger
from training.models import Attempt, DeviceLease, Job, JobState, Member, Run
from training.states import LIVE, RunState, move

from . import attempts, holding, node_worker, wishes  # the worker's signals are connected by the import
from .placement import Placement, Waiting, place

logger = logging.getLogger(__name__)
MAX_JOBS_A_TICK = 5000
ROWS_A_STATEMENT = 500


@shared_task(name="training.place")
def place_tick() -> int:
    """Start what fits on free devices. Returns how many attempts were begun."""
    begun = 0
    holding.settle()
    for assignment in apply(planned()).assigned:
        try:
            attempt = attempts.begin(assignment)
        except IntegrityError:
            continue  # another tick was faster; what is left waits for the next one
        if attempt is not None:
            begun += 1
    return begun


def planned() -> Placement:
    project = F("run__experiment__project_id")
    # The first of each project before the second of any: a thousand jobs of one do not hide another's.
    place_in_project = Window(RowNumber(), partition_by=project, order_by=["-priority", "id"])
    last_end = Attempt.objects.filter(job=OuterRef("pk")).order_by("-number").values("ended_at")[:1]
    jobs = Job.objects.filter(state=JobState.QUEUED, held=False).annotate(
        project=project, place=place_in_project, since=Coalesce(Subquery(last_end), "submitted_at")
    )
    now = timezone.now()
    rows = jobs.order_by("-priority", "place", "id").values(
        "pk", "project", "device_kind", "min_devices", "max_devices", "wanted_devices", "max_nodes", "priority",
        "since", *wishes.FIELDS,
    )[:MAX_JOBS_A_TICK]  # fmt: skip
    only = wishes.suitable(wishes.Wish.of(row) for row in rows)
    waiting = [
        Waiting(
            row["pk"], row["project"], row["device_kind"], row["min_devices"],
            row["wanted_devices"] or row["max_devices"], row["priority"], (now - row["since"]).total_seconds(),
            row["max_nodes"], *wishes.told(row, only),
        )
        for row in rows
    ]  # fmt: skip
    if not waiting:
        return Placement()
    usable = attempts.usable_devices()
    free = attempts.free_devices()
    held = dict(
        DeviceLease.objects.values_list("attempt__job__run__experiment__project_id")
        .annotate(Count("pk"))
        .order_by("attempt__job__run__experiment__project_id")
    )
    counts = usable.values_list("node_id", "kind").annotate(Count("pk")).order_by("node_id")
    return place(waiting, free, held, {(node, kind): count for node, kind, count in counts})


def apply(placement: Placement) -> Placement:
    """Write down why jobs wait, where it changed. Of thousands of jobs few have a reason of their own."""
    waiting = list(placement.waiting)
    noted: dict[int, tuple[str, str, str]] = {}
    for some in parts(waiting):
        rows = Job.objects.filter(pk__in=some, state=JobState.QUEUED).values_list(
            "pk", "waiting_reason", "code", "run__code"
        )
        noted |= {pk: (reason, code, run) for pk, reason, code, run in rows}
    changed: dict[str, list[int]] = defaultdict(list)
    for pk, (was, _, _) in noted.items():
        reason = placement.waiting[pk][:500]
        if was != reason:
            changed[reason].append(pk)
    for reason, pks in changed.items():
        for some in parts(pks):
            # Asked again of the database: a job may have been started or stopped meanwhile.
            Job.objects.filter(pk__in=some, state=JobState.QUEUED).update(waiting_reason=reason)
    if changed:
        publish_change("queue", "job", {"state": JobState.QUEUED})
    for pk in (pk for pks in changed.values() for pk in pks):
        _, code, run = noted[pk]
        publish_change(f"run:{run}", "job", {"code": code, "state": JobState.QUEUED})
    return placement


def parts(pks: list[int]) -> Iterator[list[int]]:
    return (pks[start : start + ROWS_A_STATEMENT] for start in range(0, len(pks), ROWS_A_STATEMENT))


@shared_task(name="training.start")
def start(attempt_pk: int) -> bool:
    """On the node's worker: start the attempt's process and return."""
    return node_worker.loop is not None and node_worker.loop.start(attempt_pk)


@dataclass
class Watch:
    """Since when this process looks at leases without a gap.

    After an outage of the database, or of this worker, every lease has run out, and the nodes need a moment to
    renew them: nothing is given up before a whole lease was watched.
    """

    since: float = float("inf")
    last: float = float("-inf")

    def look(self, now: float) -> bool:
        if now - self.last > settings.LEASE_SECONDS:
            self.since = now
        self.last = now
        return now - self.since >= settings.LEASE_SECONDS


watch = Watch()


@shared_task(name="training.reap")
def reap_tick() -> int:
    """End attempts whose lease ran out, and mark runs lost that nobody heard of. Returns how many."""
    now = timezone.now()
    late = Attempt.objects.filter(ended_at=None, lease_expires_at__lt=Now())
    found = list(late.values_list("pk", "node__name"))
    if not watch.look(time.monotonic()):
        return 0
    ended = 0
    for pk, node in found:
        nodes.unheard(node, settings.LEASE_SECONDS)
        ended += attempts.end(
            pk, Attempt.Outcome.LOST, f"nothing was heard from the worker of {node} for {settings.LEASE_SECONDS:g} s",
            only_expired=True,
        )  # fmt: skip
    for member in Member.objects.filter(attempt__ended_at=None, lease_expires_at__lt=Now()).exclude(
        state=Attempt.State.ENDED
    ):
        nodes.unheard(member.node.name, settings.LEASE_SECONDS)
        ended += attempts.end(
            member.attempt_id, Attempt.Outcome.LOST,
            f"nothing was heard from the worker of {member.node.name} for {settings.LEASE_SECONDS:g} s",
            expired_member=member.pk,
        )  # fmt: skip
    return ended + lose_silent_runs(now)


def lose_silent_runs(now) -> int:
    """Runs without an attempt (a script somebody started) are lost after LOST_SECONDS of silence."""
    since = now - timedelta(seconds=settings.LOST_SECONDS)
    lost = 0
    held = Attempt.objects.filter(job__run=OuterRef("pk"), ended_at=None)
    live = Run.objects.filter(~Exists(held), state__in=LIVE, last_seen_at__lt=since)
    for run in live:
        with transaction.atomic():
            lost += move(
                run, RunState.LOST, f"nothing was heard from its process for {settings.LOST_SECONDS:g} s"
            )
    return lost


@shared_task(name="training.usage")
def usage_tick() -> int:
    """Count device time, energy and money of attempts. Returns of how many."""
    return ledger.tick()
