"""Puts right the record of an attempt that was given up as lost, and whose script had come to its end all the same.

A process goes on while nobody hears its node's worker: it may well finish, and what it says itself of its end counts
for more than a silence. The numbers decide whether it still can: an attempt that another one has followed stays lost.
"""

import logging
from datetime import timedelta

from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from training import commands
from training.models import Attempt, Job, JobState, Run, RunEvent
from training.states import RunState

from .attempts import bring
from .farewell import last_word
from .submit import announce

logger = logging.getLogger(__name__)
Outcome = Attempt.Outcome
# Later, somebody has long acted on the record as it stands.
WITHIN = timedelta(hours=1)
OPEN_TO_IT = (JobState.FAILED, JobState.QUEUED)


def given_up() -> QuerySet[Attempt]:
    """Attempts that were lost, lately, and that nothing has followed yet as far as the job's state tells."""
    found = Attempt.objects.filter(
        outcome=Outcome.LOST, ended_at__gt=Now() - WITHIN, job__state__in=OPEN_TO_IT
    )
    return found.select_related("job__run", "node")


def by_word(job: int, number: int) -> bool:
    """Of an attempt whose process has just said over the link that it has finished."""
    try:
        attempt = given_up().filter(job=job, number=number).first()
        if attempt is None or last_word(attempt) != Outcome.FINISHED:
            return False
        return finished_after_all(attempt, "its process said that it has finished")
    except DatabaseError as error:
        # What was said is in the records by now; the node's worker reads it there once it is back.
        logger.warning("job %s, attempt %s: not put right yet: %s", job, number, error)
        return False


def finished_after_all(attempt: Attempt, how: str, exit_code: int | None = None) -> bool:
    """Make a lost attempt a finished one, its job done and its run finished. False if it is too late for that."""
    with transaction.atomic():
        job = Job.objects.select_for_update().select_related("run").get(pk=attempt.job_id)
        run = job.run
        if job.state not in OPEN_TO_IT or job.attempts.order_by("-number").first() != attempt:
            return False
        if job.state == JobState.QUEUED and asked_for_again(run):
            return False
        won = Attempt.objects.filter(pk=attempt.pk, outcome=Outcome.LOST).update(
            outcome=Outcome.FINISHED, exit_code=exit_code
        )
        if not won:
            return False
        reason = f"{how}; attempt {attempt.number} on {attempt.node.name} was given up as lost before that was known"
        RunEvent.objects.create(
            run=run, kind="attempt", old=Outcome.LOST, new=Outcome.FINISHED, reason=reason,
            data={"attempt": attempt.number, "node": attempt.node.name, "exit_code": exit_code, "signal": "",
                  "first_error_line": ""},
        )  # fmt: skip
        job.state, job.ended_at, job.waiting_reason = JobState.DONE, attempt.ended_at, ""
        job.save(update_fields=["state", "ended_at", "waiting_reason"])
        bring(run, RunState.FINISHED, reason)
        commands.expire_open(run, "the run ended (finished) before it was applied")
        announce(job)
    logger.info("%s has finished after all: %s", attempt, how)
    return True


def asked_for_again(run: Run) -> bool:
    """Whether a person queued the job again since: then that is what is wanted, whatever had become of it."""
    queued = run.events.filter(kind="state", new=RunState.QUEUED).order_by("-id").first()
    return queued is not None and queued.actor != "system"
