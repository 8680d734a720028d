"""Jobs that wait for other jobs: told, changed, and looked at when those have ended."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q

from training.models import Job, JobDependency, JobGroup, JobState
from training.states import IllegalMove

from .refused import JobRefused

if TYPE_CHECKING:
    from .request import Request

When = JobDependency.When
MAX_AFTER = 100
OPEN = frozenset({JobState.QUEUED, JobState.ACTIVE})


@dataclass(frozen=True)
class Target:
    """What is waited for: a job or a group."""

    code: str
    when: str
    job: Job | None = None
    group: JobGroup | None = None


def found(after: list[str], experiment: Any) -> list[Target]:
    """The jobs and groups that "CODE:when" texts name, in the experiment's project. Raises JobRefused."""
    if len(after) > MAX_AFTER:
        raise JobRefused(
            "after",
            f"{len(after)} jobs; at most {MAX_AFTER} can be waited for, but a whole group counts as one",
        )
    return [target(each, experiment.project_id) for each in dict.fromkeys(after)]


def target(said: str, project: int) -> Target:
    code, _, when = said.strip().partition(":")
    when = when or When.OK
    if when not in When.values:
        raise JobRefused("after", f"{said!r:.60}: expected CODE, or CODE followed by :ok, :any or :failed")
    # A run's code will do: it is what the address of its page shows.
    job = Job.objects.filter(Q(code=code) | Q(run__code=code), run__experiment__project_id=project).first()
    if job is not None:
        return Target(job.code, when, job=job)
    group = JobGroup.objects.filter(code=code, experiment__project_id=project).first()
    if group is None:
        raise JobRefused("after", f"no job, run or group {code!r:.40} is in this project")
    return Target(group.code, when, group=group)


def add(asked: Iterable[tuple[Job, "Request"]]) -> None:
    JobDependency.objects.bulk_create(
        [row(job, each) for job, request in asked for each in request.on], batch_size=500
    )


def row(job: Job, each: Target) -> JobDependency:
    return JobDependency(job=job, on=each.job, on_group=each.group, on_code=each.code, when=each.when)


def change(job: Job, after: list[str]) -> None:
    """Let a waiting job wait for these instead. Raises JobRefused for a circle, by name, and IllegalMove."""
    with transaction.atomic():
        job = Job.objects.select_for_update(of=("self",)).select_related("run__experiment").get(pk=job.pk)
        if job.state != JobState.QUEUED:
            raise IllegalMove(f"job {job.code} is {job.state}; what it waits for counts while it is queued")
        targets = found(after, job.run.experiment)
        circle = circle_through(job, targets)
        if circle:
            told = ", ".join(f"{one} waits for {next_}" for one, next_ in itertools.pairwise(circle))
            raise JobRefused("after", f"that is a circle, none of them would ever start: {told}")
        job.dependencies.all().delete()
        JobDependency.objects.bulk_create([row(job, each) for each in targets])
        Job.objects.filter(pk=job.pk).update(held=True)


def circle_through(job: Job, targets: list[Target]) -> list[str]:
    """Codes from the job back to itself, were it to wait for the targets; [] where that is no circle."""
    came_from = {each.code: job.code for each in targets}
    front = [(each.code, each.job, each.group) for each in targets]
    while front:
        code, one, group = front.pop()
        if one == job or (group is not None and group.pk == job.group_id):
            return path_to(code, came_from, job.code)
        if one is None and group is None:
            continue  # deleted since
        inside = {"job": one} if group is None else {"job__group": group}
        rows = JobDependency.objects.filter(job__state=JobState.QUEUED, **inside)
        for each in rows.select_related("on", "on_group"):
            if each.on_code not in came_from:
                came_from[each.on_code] = code
                front.append((each.on_code, each.on, each.on_group))
    return []


def path_to(code: str, came_from: dict[str, str], start: str) -> list[str]:
    path = [code]
    while path[-1] != start or len(path) == 1:
        path.append(came_from[path[-1]])
    path.reverse()
    return path
