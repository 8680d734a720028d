"""One thing done to a run among many: a tag, a stop, another start, its end. Each run has its own answer."""

from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction

from monitoring.live.publish import publish_change

from . import commands
from .deleting import delete_run
from .jobs import submit
from .models import JobState, Run
from .states import IllegalMove

MAX_TAGS = 100


class Refused(Exception):
    """This run could not be changed so; the message says why."""


def tag(run: Run, added: list[str]) -> bool:
    """Whether the run lacked one of them. Raises Refused."""
    return retag(run, lambda tags: list(dict.fromkeys([*tags, *added])))


def untag(run: Run, taken: list[str]) -> bool:
    """Whether the run had one of them."""
    return retag(run, lambda tags: [each for each in tags if each not in taken])


def retag(run: Run, change) -> bool:
    with transaction.atomic():
        # Locked, so that two people who tag at once both do.
        locked = Run.objects.select_for_update().only("tags").filter(pk=run.pk).first()
        if locked is None:
            return False
        tags = change(locked.tags)
        if tags == locked.tags:
            return False
        if len(tags) > MAX_TAGS:
            raise Refused(f"it would have {len(tags)} tags; at most {MAX_TAGS} are kept")
        Run.objects.filter(pk=run.pk).update(tags=tags)
        publish_change(f"experiment:{run.experiment_id}", "run", {"code": run.code, "tags": tags})
    return True


def stop(run: Run, user) -> bool:
    """Ask it to finish; a job that waits is ended at once. Raises Refused."""
    name = user.get_username()
    try:
        job = run.job
    except ObjectDoesNotExist:
        job = None
    try:
        if job is not None and job.state in {JobState.QUEUED, JobState.ACTIVE}:
            submit.stop(job, name)
        else:
            commands.issue(
                run, "stop", asked_by=name, user=user, by_person=True, reason="stopped with others"
            )
    except (commands.CommandRefused, IllegalMove) as error:
        raise Refused(str(error)) from None
    return True


def requeue(run: Run, user) -> bool:
    """Queue it again; whether it was over. Raises Refused where no job executes it, or its process lives on."""
    try:
        job = run.job
    except ObjectDoesNotExist:
        raise Refused("it was started by hand; start its script again where its files are") from None
    if job.state in {JobState.QUEUED, JobState.ACTIVE}:
        return False
    try:
        submit.requeue(job, user.get_username())
    except IllegalMove as error:
        raise Refused(str(error)) from None
    return True


def delete(run: Run) -> bool:
    """Raises Refused while it is queued or live."""
    try:
        delete_run(run)
    except IllegalMove as error:
        raise Refused(str(error)) from None
    except Run.DoesNotExist:
        return False
    return True
