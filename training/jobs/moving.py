"""Moves a waiting job in the queue: next to another one, with that one's priority."""

from django.db import transaction
from django.db.models import FloatField
from django.db.models.functions import Cast, Coalesce

from training.models import Job, JobState
from training.states import IllegalMove

from .submit import announce, hurry

AT = Coalesce("position", Cast("id", FloatField()))


def move(job: Job, neighbour: Job, before: bool) -> None:
    """Put a job right before or behind another that waits. Raises IllegalMove.

    It takes the other's priority. Between projects, fair share still decides among equals.
    """
    with transaction.atomic():
        found = {one.pk: one for one in Job.objects.select_for_update().filter(pk__in=[job.pk, neighbour.pk])}
        for one in (found[job.pk], found[neighbour.pk]):
            if one.state != JobState.QUEUED:
                raise IllegalMove(
                    f"job {one.code} is {one.state}; only what waits in the queue has a place in it"
                )
        if job.pk == neighbour.pk:
            return
        kept = found[neighbour.pk]
        position = between(job, kept, before)
        if position is None:
            renumber(kept)
            position = between(job, kept, before)
        Job.objects.filter(pk=job.pk).update(priority=kept.priority, position=position)
        announce(found[job.pk])
        transaction.on_commit(hurry)


def between(job: Job, neighbour: Job, before: bool) -> float | None:
    """A position on that side of the neighbour; None where two positions have no number between them any more."""
    others = Job.objects.filter(state=JobState.QUEUED, priority=neighbour.priority).exclude(pk=job.pk)
    rows = others.annotate(at=AT)
    here = rows.values_list("at", flat=True).get(pk=neighbour.pk)
    beyond = (
        rows.filter(at__lt=here).order_by("-at").values_list("at", flat=True).first()
        if before
        else rows.filter(at__gt=here).order_by("at").values_list("at", flat=True).first()
    )
    if beyond is None:
        return here - 1.0 if before else here + 0.5
    middle = (here + beyond) / 2
    return middle if middle not in (here, beyond) else None


def renumber(job: Job) -> None:
    """Give all that wait with this priority whole positions in their order, none above an id: new jobs come behind."""
    waiting = Job.objects.filter(state=JobState.QUEUED, priority=job.priority).annotate(at=AT)
    for number, pk in enumerate(waiting.order_by("at", "id").values_list("pk", flat=True), start=1):
        Job.objects.filter(pk=pk).update(position=float(number))
