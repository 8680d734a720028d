"""Running attempts leave for another job, or because their node is drained: asked at a checkpoint, then by a signal.
Their jobs go on with the devices that they keep, or wait to go on.

asked      the command rescale, where the process offers it: save, write so in a file, leave the loop
signalled  SIGTERM after SCALEWEB_PREEMPT_GRACE_SECONDS, or at once where the process offers no such thing
killed     SIGKILL after SCALEWEB_STOP_GRACE_SECONDS more
"""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast, Now

from training import commands
from training.models import Attempt, Command, Job, JobState, RunEvent
from training.models.command import OPEN, Verb
from training.models.job import Preemptible

from .devices import usable
from .local import Local
from .preemption import Preemption
from .reasons import what
from .submit import announce
from .turns import Place, class_name

logger = logging.getLogger(__name__)
ORIGIN = "preemption"
OFFERS_RESCALE = Q(offered__contains='"rescale"')


def ask(preemption: Preemption) -> bool:
    """Ask all of the attempts to leave, or none: a part of them would leave for nothing."""
    with transaction.atomic():
        job = Job.objects.select_for_update().select_related("run__experiment").get(pk=preemption.job)
        found = list(
            Attempt.objects.select_for_update(of=("self",))
            .select_related("job__run__experiment__project")
            .filter(
                pk__in=preemption.attempts, state=Attempt.State.RUNNING, ended_at=None, preempt_asked_at=None
            )
            .order_by("pk")
        )
        if job.state != JobState.QUEUED or len(found) != len(preemption.attempts):
            return False
        keeps = {attempt.pk: kept(attempt, preemption.keeps.get(attempt.pk, {})) for attempt in found}
        for attempt in found:
            fewer = keeps[attempt.pk]
            ask_to_leave(attempt, why(job, attempt, preemption.owed, len(fewer)), job, fewer)
        who = "1 running job was" if len(found) == 1 else f"{len(found)} running jobs were"
        how = "leave for it" if not any(keeps.values()) else "make room for it"
        RunEvent.objects.create(
            run=job.run, kind="preemption", new="waits", reason=f"{who} asked to {how} at a checkpoint",
            data={"attempts": len(found)},
        )  # fmt: skip
    return True


def ask_to_leave(attempt: Attempt, reason: str, job: Job | None = None, keeps: Sequence[int] = ()) -> None:
    """job: for which; None where its node is drained. Within a transaction that has locked its row."""
    Attempt.objects.filter(pk=attempt.pk).update(
        preempt_asked_at=Now(), preempted_for=job, preempt_reason=reason[:500], keeps=list(keeps)
    )
    RunEvent.objects.create(
        run=attempt.job.run, kind="preemption", new="asked", reason=reason,
        data={"attempt": attempt.number, "devices": attempt.devices.count(), "keeps": len(keeps)},
    )  # fmt: skip
    tell(attempt, reason, len(keeps))
    announce(attempt.job)


def askable() -> QuerySet[Attempt]:
    """The attempts that may be asked to leave and have not been; OFFERS_RESCALE of them: by a command."""
    offers = Cast("job__run__offers", TextField())
    may = Q(job__preemptible=Preemptible.ALWAYS) | (Q(job__preemptible=Preemptible.SAVED) & OFFERS_RESCALE)
    found = Attempt.objects.filter(ended_at=None, state=Attempt.State.RUNNING, preempt_asked_at=None)
    return found.annotate(offered=offers).filter(may)


def kept(attempt: Attempt, places: Mapping[Place, int]) -> list[int]:
    """The devices that it goes on with: so many of each node."""
    left = dict(places)
    found = []
    for device in attempt.devices.filter(usable()).order_by("node_id", "index"):
        where = device.node_id, device.kind
        if left.get(where, 0):
            left[where] -= 1
            found.append(device.pk)
    return found


def why(job: Job, attempt: Attempt, owed: bool, keeps: int) -> str:
    """For the people of the job that leaves. Whose the other one is, is not theirs to know."""
    same = job.run.experiment.project_id == attempt.job.run.experiment.project_id
    fewer = f", and goes on with {what(job.device_kind, keeps)}" if keeps else ""
    if owed and not same:
        given = what(job.device_kind, attempt.devices.count() - keeps)
        return f"it gives back what its project had borrowed ({given}){fewer}"
    whom = f"job {job.code}" if same else "a job of another project"
    return f"it makes room for {whom} of higher priority ({class_name(job.priority)}){fewer}"


def tell(attempt: Attempt, reason: str, keeps: int) -> None:
    value = {"devices": keeps or attempt.devices.count(), "elsewhere": not keeps}
    try:
        commands.issue(
            attempt.job.run, Verb.RESCALE, value=value, asked_by="placement", by_person=False, reason=reason,
            origin=origin_of(attempt),
        )  # fmt: skip
    except commands.CommandRefused as error:
        # It saves no checkpoints, is paused for good or leaves already: its node's worker sees to it.
        logger.info("attempt %s cannot be asked to leave over the link: %s", attempt.pk, error.message)


def origin_of(attempt: Attempt) -> str:
    return f"{ORIGIN}:{attempt.number}"


def close_commands(run: Any) -> None:
    """What the process that left did not answer any more would make the next one leave as well."""
    open_ones = Command.objects.filter(run=run, origin__startswith=ORIGIN, state__in=OPEN)
    commands.close(open_ones, commands.S.EXPIRED, "the process had left before it answered")


def press(attempt: Attempt, local: Local) -> None:
    """Called at each look of the node's loop at an attempt that was asked to leave and has not."""
    now = time.monotonic()
    # By this host's own count: what another one's clock said when it asked may be far from it.
    since = seen.setdefault(local.folder, now)
    order = attempt.job.run.commands.filter(origin=origin_of(attempt)).exclude(state=commands.S.REJECTED)
    left = local.left_seconds_ago()
    late = now - since >= settings.PREEMPT_GRACE_SECONDS
    if late or not order.exists() or (left is not None and left > settings.STOP_GRACE_SECONDS):
        local.terminate_then_kill(settings.STOP_GRACE_SECONDS)


# When this worker first saw that an attempt was asked to leave, by the folder of its part here.
seen: dict[Path, float] = {}
