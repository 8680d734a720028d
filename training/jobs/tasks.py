"""Celery's part in jobs: short messages. The tables are the truth; each task can come twice or never."""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.utils import timezone

from monitoring import nodes
from monitoring.live.publish import publish_change, publish_changes
from training import ledger
from training.models import Attempt, Job, JobState, Member, Run
from training.states import LIVE, RunState, move

from . import (  # the worker's signals are connected by the import
    at_work,
    attempts,
    draining,
    expecting,
    holding,
    node_worker,
    passing_over,
    queued,
    ticks,
    yielding,
)
from .placement import Placement
from .planning import planned

logger = logging.getLogger(__name__)
CONNECTED = (at_work, node_worker, ticks)
ROWS_A_STATEMENT = 500


@shared_task(name="training.place")
def place_tick() -> int:
    """Start what fits on free devices. Returns how many attempts were begun."""
    begun = 0
    holding.settle()
    draining.ask()
    rows = queued.rows()
    placement = planned(rows=rows)
    for preemption in placement.preempted:
        yielding.ask(preemption)
    apply(placement, {row["pk"]: row["waiting_reason"] for row in rows})
    for assignment in placement.assigned:
        try:
            attempt = attempts.begin(assignment)
        except IntegrityError:
            continue  # another tick was faster; what is left waits for the next one
        if attempt is not None:
            begun += 1
    expecting.follow_nodes()
    return begun


def apply(placement: Placement, was: Mapping[int, str]) -> None:
    """Write down why jobs wait, where it changed. Of thousands of jobs few have a reason of their own.

    was: what is written there, by job.
    """
    changed: dict[str, list[int]] = defaultdict(list)
    for pk, why in placement.waiting.items():
        reason = why[:500]
        if was.get(pk) != reason:
            changed[reason].append(pk)
    told: list[tuple[str, dict[str, str]]] = []
    for reason, pks in changed.items():
        for some in parts(pks):
            # Asked again of the database: a job may have been started or stopped meanwhile.
            still = Job.objects.filter(pk__in=some, state=JobState.QUEUED)
            still.update(waiting_reason=reason)
            told += [
                (f"run:{run}", {"code": code, "state": JobState.QUEUED})
                for code, run in still.values_list("code", "run__code")
            ]
    if changed:
        publish_change("queue", "job", {"state": JobState.QUEUED})
    publish_changes("job", told)


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
    passing_over.forget_past()
    late = Attempt.objects.filter(ended_at=None, lease_expires_at__lt=Now())
    found = list(late.values_list("pk", "node", "node__name", "state"))
    if not watch.look(time.monotonic()):
        return 0
    ended = 0
    for pk, node, name, state in found:
        nodes.unheard(name, settings.LEASE_SECONDS / 2)
        unstarted = state == Attempt.State.ASSIGNED
        lost = attempts.end(
            pk, Attempt.Outcome.LOST,
            f"the worker of {name} did not start it within {settings.LEASE_SECONDS:g} s" if unstarted
            else f"nothing was heard from the worker of {name} for {settings.LEASE_SECONDS:g} s",
            only_expired=True,
            # What never ran is no fault of the job's.
            again=True if unstarted else None,
        )  # fmt: skip
        ended += lost
        if lost and unstarted:
            passing_over.not_started(node)
    for member in (
        Member.objects.filter(attempt__ended_at=None, lease_expires_at__lt=Now())
        .exclude(state=Attempt.State.ENDED)
        .select_related("node")
    ):
        nodes.unheard(member.node.name, settings.LEASE_SECONDS / 2)
        unstarted = member.state == Attempt.State.ASSIGNED
        lost = attempts.end(
            member.attempt_id, Attempt.Outcome.LOST,
            f"the worker of {member.node.name} did not start its part within {settings.LEASE_SECONDS:g} s" if unstarted
            else f"nothing was heard from the worker of {member.node.name} for {settings.LEASE_SECONDS:g} s",
            expired_member=member.pk,
            # The other ranks have waited for these, and trained nothing.
            again=True if unstarted else None,
        )  # fmt: skip
        ended += lost
        if lost and unstarted:
            passing_over.not_started(member.node_id)
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


@shared_task(name="training.expect")
def expect_tick() -> int:
    """Write down when what runs will have ended and what waits will start. Returns how many waiting jobs were told."""
    return expecting.tick()


@shared_task(name="training.usage")
def usage_tick() -> int:
    """Count device time, energy and money of attempts. Returns of how many."""
    return ledger.tick()
