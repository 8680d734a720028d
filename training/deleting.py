"""Deletes runs and experiments for good: rows first, then the series, which nothing can find any more."""

import logging
from functools import partial

from django.db import transaction

from monitoring.live.publish import publish_change
from monitoring.storage import series

from .media import files
from .models import Experiment, Project, Run
from .states import LIVE, IllegalMove, RunState

logger = logging.getLogger(__name__)
BUSY = [*LIVE, RunState.QUEUED]


def delete_run(run: Run) -> None:
    """Delete a run with everything of it but its checkpoint files.

    Raises IllegalMove while it is queued or live: its process would go on, and write to nobody.
    """
    with transaction.atomic():
        locked = Run.objects.select_for_update().get(pk=run.pk)
        if locked.state in BUSY and has_process(locked):
            raise IllegalMove(f"run {run.code} is {locked.state}; stop it, then delete it")
        locked.delete()
    transaction.on_commit(partial(forget, run.code))
    topic = f"experiment:{run.experiment_id}"
    transaction.on_commit(partial(publish_change, topic, "run", {"code": run.code, "deleted": True}))


def delete_experiment(experiment: Experiment) -> None:
    """Delete an experiment with all its runs. Raises IllegalMove while one of them is queued or live."""
    with transaction.atomic():
        runs = list(Run.objects.select_for_update().filter(experiment=experiment))
        busy = [run for run in runs if run.state in BUSY and has_process(run)]
        if busy:
            raise IllegalMove(
                f"run {busy[0].code} is {busy[0].state} ({len(busy)} in all); stop the runs, then delete"
            )
        topic = f"experiment:{experiment.pk}"
        experiment.delete()
    publish_change(topic, "experiment", {"deleted": True})
    for run in runs:
        transaction.on_commit(partial(forget, run.code))


def forget(code: str) -> None:
    """Delete what of a run lies outside its tables: series, log lines, media."""
    series.delete(f"run:{code}")
    files.remove_run(code)


@transaction.atomic
def delete_project(project: Project) -> None:
    """Delete a project with all that is in it. Raises IllegalMove while a run of it is queued or live."""
    for experiment in project.experiments.all():
        delete_experiment(experiment)
    project.delete()


def has_process(run: Run) -> bool:
    """A run made over REST that never started has none, and may go while it is still queued."""
    return run.state != RunState.QUEUED or hasattr(run, "job")
