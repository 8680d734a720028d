"""What people ask of jobs: submit, stop, queue again."""

import contextlib
import logging
import shlex
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from celery import current_app
from django.db import DatabaseError, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from monitoring.live.publish import publish_change
from monitoring.plain import text
from training import commands
from training.models import Attempt, Checkpoint, Job, JobGroup, JobState, Run, RunEvent
from training.states import ENDED, IllegalMove, RunState, move

from . import dependencies
from .refused import JobRefused as JobRefused  # raised by what is called here
from .request import Request

logger = logging.getLogger(__name__)
# Of a group of thousands the queue is told by its first ones.
ANNOUNCED = 20


def submit(*, experiment: Any, user: Any = None, **asked: Any) -> Job:
    """Queue a command as a new run of an experiment; `asked` are the fields of `request.Request`. Raises JobRefused."""
    wanted = Request(**asked)
    wanted.check(experiment)
    with transaction.atomic():
        (job,) = create(experiment, [wanted], user)
    return job


def create(experiment: Any, wanted: Sequence[Request], user: Any, group: JobGroup | None = None) -> list[Job]:
    """Queue checked requests, within the caller's transaction. With a group, they are its members in this order."""
    runs = [
        Run(
            experiment=experiment, config=each.config, tags=each.tags, created_by=user,
            name=text(each.name, 200),
        )
        for each in wanted
    ]  # fmt: skip
    for run, each in zip(runs, wanted, strict=True):
        run.name = run.name or f"{script_of(each.argv)} {run.code[:4]}"
    Run.objects.bulk_create(runs, batch_size=500)
    held = group is not None and group.at_once is not None
    jobs = Job.objects.bulk_create(
        [
            Job(
                run=run, submitted_by=user, group=group, held=held or bool(each.after), **each.fields(),
            )
            for run, each in zip(runs, wanted, strict=True)
        ],
        batch_size=500,
    )  # fmt: skip
    dependencies.add(zip(jobs, wanted, strict=True))
    who = user.get_username() if user else "system"
    RunEvent.objects.bulk_create(
        [
            RunEvent(
                run=run, kind="state", new=RunState.QUEUED, actor=who,
                reason=text(f"submitted: {shlex.join(each.argv)}", 2000),
            )
            for run, each in zip(runs, wanted, strict=True)
        ],
        batch_size=500,
    )  # fmt: skip
    for job in jobs[:ANNOUNCED]:
        announce(job)
    publish_change(f"experiment:{experiment.pk}", "run", {"code": runs[0].code, "state": RunState.QUEUED})
    transaction.on_commit(hurry)
    return jobs


def script_of(argv: list[str]) -> str:
    """What to call a run that got no name: the script's or module's own."""
    for place, item in enumerate(argv):
        if item == "-m" and place + 1 < len(argv):
            return argv[place + 1].rpartition(".")[2][:100]
        if item.endswith(".py"):
            return PurePath(item).stem[:100]
    return PurePath(argv[0]).name[:100]


def stop(job: Job, asked_by: str, why: str = "") -> None:
    """End a job: at once while it waits, else by a command and then by a signal. Raises IllegalMove."""
    with transaction.atomic():
        # The attempt before its job, as its end locks them: the other way round each would wait for the other.
        attempt = Attempt.objects.select_for_update().filter(job=job.pk, ended_at=None).first()
        job = Job.objects.select_for_update().select_related("run").get(pk=job.pk)
        if job.state == JobState.QUEUED:
            job.state, job.ended_at, job.waiting_reason, job.held = (
                JobState.STOPPED,
                timezone.now(),
                "",
                False,
            )
            job.save(update_fields=["state", "ended_at", "waiting_reason", "held"])
            if job.run.state not in ENDED:
                move(job.run, RunState.STOPPED, why or "stopped before it started", actor=asked_by)
            announce(job)
            return
        if job.state != JobState.ACTIVE:
            raise IllegalMove(f"job {job.code} is {job.state} already")
        attempt = attempt or job.attempts.filter(ended_at=None).first()  # begun just then
        if attempt is not None and attempt.state != Attempt.State.STOPPING:
            attempt.state = Attempt.State.STOPPING
            attempt.save(update_fields=["state"])
        # Refused where it has no process yet, or one that does not listen: its node's worker sends the signal.
        with contextlib.suppress(commands.CommandRefused):
            commands.issue(job.run, "stop", asked_by=asked_by, reason=why or "stop of its job")
        job.run.refresh_from_db()
        if job.run.state in {RunState.STARTING, RunState.RUNNING, RunState.PAUSED}:
            move(job.run, RunState.STOPPING, why or "asked to stop", actor=asked_by)
        announce(job)


def requeue(job: Job, asked_by: str, checkpoint: Checkpoint | None = None) -> None:
    """Queue a job again that is over; it goes on from its newest checkpoint, or from this older one of its run's.

    Raises IllegalMove, also for a checkpoint that is gone.
    """
    with transaction.atomic():
        job = Job.objects.select_for_update().select_related("run").get(pk=job.pk)
        if job.state in {JobState.QUEUED, JobState.ACTIVE}:
            raise IllegalMove(f"job {job.code} is {job.state}; it can be queued again once it is over")
        if job.run.state not in ENDED:
            # Its last process lives on, unknown to the job (a script run again by hand).
            raise IllegalMove(
                f"run {job.run.code} is {job.run.state}; it can be queued again once it is over"
            )
        begin = beginning(job, checkpoint)
        job.state, job.ended_at, job.retries_used, job.start_from = JobState.QUEUED, None, 0, begin
        job.save(update_fields=["state", "ended_at", "retries_used", "start_from"])
        why = "queued again" if checkpoint is None else f"queued again from step {checkpoint.step}"
        move(job.run, RunState.QUEUED, why, actor=asked_by)
        announce(job)
        transaction.on_commit(hurry)


def beginning(job: Job, checkpoint: Checkpoint | None) -> dict[str, Any]:
    """Job.start_from of a job that is queued again."""
    if checkpoint is None:
        # What somebody chose the last time is over; what a fork begins from stands until it has one of its own.
        return {} if job.start_from.get("run") == job.run.code else job.start_from
    checkpoint.refresh_from_db()
    if not checkpoint.available:
        raise IllegalMove(
            f"the checkpoint of step {checkpoint.step} is gone: its file was removed or found broken"
        )
    newest = job.run.checkpoints.order_by("-id").values_list("pk", flat=True).first()
    return {"checkpoint": checkpoint.pk, "run": job.run.code, "step": checkpoint.step, "after": newest}


def announce(job: Job) -> None:
    # Anybody with a login watches the queue: that it changed is theirs to know, whose job it was is not.
    publish_change("queue", "job", {"state": job.state})
    publish_change(f"run:{job.run.code}", "job", {"code": job.code, "state": job.state})


def hurry(tick: str = "training.place") -> None:
    """Place, or foretell, now instead of at the next tick. A broker that is away costs a tick, no more."""
    try:
        current_app.send_task(tick, expires=10, retry=False, ignore_result=True)
    except (OperationalError, DatabaseError, OSError):
        return


def tell(attempt: int, node: str) -> None:
    """Tell the node's worker to start an attempt at once; it would find it by itself within a second."""
    try:
        current_app.send_task("training.start", [attempt], queue=f"node.{node}", expires=30, retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("the broker is away, attempt %s starts at its worker's next look: %s", attempt, error)
