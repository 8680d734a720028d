"""Pinning checkpoints: no keep rule removes them then. At once in the record, at the next boundary in the process."""

from typing import Any

from django.db import transaction

from training import commands
from training.models import Checkpoint, Job, JobState, Run
from training.states import IllegalMove, RunState


def pin(checkpoint: Checkpoint, pinned: bool, *, user: Any) -> Checkpoint:
    """The checkpoint as it is then. Raises IllegalMove where its file is gone, or a fork still has to begin from it."""
    with transaction.atomic():
        # The run first, as whoever records its events does.
        run = Run.objects.select_for_update().get(pk=checkpoint.run_id)
        checkpoint = Checkpoint.objects.select_for_update().get(pk=checkpoint.pk)
        if not checkpoint.available:
            raise IllegalMove(
                f"the checkpoint of step {checkpoint.step} is gone: its file was removed or found broken"
            )
        waits = None if pinned else waiting_for(checkpoint)
        if waits is not None:
            raise IllegalMove(
                f"run {waits.run.code} ({waits.run.name}) still has to begin from the checkpoint of step "
                f"{checkpoint.step}; it stays pinned until that run has saved one of its own, or is stopped"
            )
        put(run, checkpoint, pinned, user=user, why="")
    return checkpoint


def hold(run: Run, checkpoint: Checkpoint, *, why: str, user: Any) -> None:
    """Pin a checkpoint of a locked run for another that will begin from it."""
    if not checkpoint.pinned:
        put(run, checkpoint, True, user=user, why=why)


def put(run: Run, checkpoint: Checkpoint, pinned: bool, *, user: Any, why: str) -> None:
    checkpoint.pinned = pinned
    checkpoint.save(update_fields=["pinned"])
    # Where no process runs, the next one is told as it starts (training.jobs.spec.pin_files).
    if run.state in {RunState.RUNNING, RunState.PAUSED}:
        commands.issue(
            run, "pin", value={"checkpoint": checkpoint.pk, "pinned": pinned}, reason=why, user=user,
            asked_by=user.get_username() if user else "system", by_person=user is not None,
        )  # fmt: skip


def waiting_for(checkpoint: Checkpoint) -> Job | None:
    """A fork that begins from the checkpoint and has none of its own yet."""
    waiting = Job.objects.filter(
        run__parent_id=checkpoint.run_id, state__in=[JobState.QUEUED, JobState.ACTIVE], run__checkpoints=None,
    )  # fmt: skip
    for job in waiting.select_related("run"):
        if job.start_from.get("checkpoint") == checkpoint.pk:
            return job
    return None
