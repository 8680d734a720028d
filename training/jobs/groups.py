"""Many jobs as one: the points of a grid, an array of equal ones. Made in one transaction, shown and stopped as one."""

import copy
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from monitoring.plain import text
from training.models import Job, JobGroup, JobState
from training.states import IllegalMove

from . import submit
from .refused import JobRefused
from .request import Request, check_argv

MAX_JOBS = 10_000
MAX_AXES = 10
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
ARRAY = re.compile(r"(\d{1,9})-(\d{1,9})(?::(\d{1,9}))?(?:%(\d{1,9}))?")


@dataclass(frozen=True)
class Array:
    """Indices of an array, "0-99%8": 0 to 99, at most 8 of them at once; "0-99:10" is every tenth."""

    indices: range
    at_once: int | None

    @classmethod
    def of(cls, said: str) -> "Array":
        match = ARRAY.fullmatch(said.strip())
        if match is None:
            raise JobRefused("array", f"{said!r:.60}: expected FIRST-LAST, as in 0-99, 0-99:10 or 0-99%8")
        first, last, step, at_once = (int(part) if part else None for part in match.groups())
        assert first is not None
        assert last is not None
        if last < first or step == 0 or at_once == 0:
            raise JobRefused(
                "array", f"{said!r:.60}: expected the smaller index first, and at least 1 after : and %"
            )
        return cls(range(first, last + 1, step or 1), at_once)


def submit_grid(
    *,
    experiment: Any,
    grid: Mapping[str, Sequence[str]],
    at_once: int | None = None,
    user: Any = None,
    **asked: Any,
) -> JobGroup:
    """One job for each combination. {name} in the command becomes its value; a name that the command does not hold is
    added as --name VALUE. The values are settings of the run too. Raises JobRefused."""
    axes = checked_axes(grid)
    check_count(
        "grid",
        math.prod(len(values) for values in axes.values()),
        " x ".join(str(len(v)) for v in axes.values()),
    )
    request = Request(**asked)
    request.check(experiment)
    points = (dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))
    return make(
        experiment,
        request,
        JobGroup.Kind.GRID,
        axes,
        [at_point(request, point) for point in points],
        at_once,
        user,
    )


def submit_array(
    *, experiment: Any, array: str, at_once: int | None = None, user: Any = None, **asked: Any
) -> JobGroup:
    """Equal jobs that know their index: {index} in the command, SCALEWEB_ARRAY_INDEX. Raises JobRefused."""
    found = Array.of(array)
    check_count("array", len(found.indices), array)
    request = Request(**asked)
    request.check(experiment)
    wanted = [at_index(request, index) for index in found.indices]
    return make(
        experiment,
        request,
        JobGroup.Kind.ARRAY,
        {"index": [array.partition("%")[0]]},
        wanted,
        at_once or found.at_once,
        user,
    )


def checked_axes(grid: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    if not grid or len(grid) > MAX_AXES:
        raise JobRefused("grid", f"{len(grid)} settings; expected 1 to {MAX_AXES}, such as lr=1e-4,1e-3")
    for name, values in grid.items():
        if not NAME.fullmatch(name):
            raise JobRefused("grid", f"{name!r:.60} is no name of a setting; use letters, digits, _ . -")
        if not values:
            raise JobRefused("grid", f"{name} has no values; give some, as in {name}=1,2")
        if not all(value.strip() for value in values):
            raise JobRefused(
                "grid", f"{name} has an empty value; give each one, as in {name}=1,2 without a comma too many"
            )
        if len(set(values)) != len(values):
            twice = Counter(values).most_common(1)[0][0]
            raise JobRefused(
                "grid", f"{name} has the value {twice!r:.60} twice; the same job would run twice"
            )
    return {name: list(values) for name, values in grid.items()}


def check_count(field: str, count: int, how: str) -> None:
    if count > MAX_JOBS:
        raise JobRefused(
            field,
            f"{how} is {count:,} jobs; at most {MAX_JOBS:,} are made at once. Leave values out, or submit parts of it",
        )


def at_point(request: Request, point: Mapping[str, str]) -> Request:
    argv = [filled(word, point) for word in request.argv]
    for name, value in point.items():
        if not any("{" + name + "}" in word for word in request.argv):
            argv += [f"--{name}", value]
    settings = {name: as_setting(value) for name, value in point.items()}
    said = " ".join(f"{name}={value}" for name, value in point.items())
    return varied(request, argv, {**request.config, **settings}, said)


def at_index(request: Request, index: int) -> Request:
    argv = [filled(word, {"index": str(index)}) for word in request.argv]
    made = varied(request, argv, {**request.config, "array_index": index}, str(index))
    made.group_index = index
    return made


def varied(request: Request, argv: list[str], config: dict[str, Any], said: str) -> Request:
    made = copy.copy(request)
    check_argv(argv)
    made.argv, made.config = argv, config
    made.name = text(f"{request.name or submit.script_of(request.argv)} {said}", 200)
    return made


def filled(word: str, values: Mapping[str, str]) -> str:
    """Each {name} of these replaced, in one pass: a value that looks like a placeholder stays as it is."""
    names = "|".join(map(re.escape, values))
    return re.sub(r"\{(" + names + r")\}", lambda found: values[found.group(1)], word)


def as_setting(value: str) -> Any:
    """A number or truth value as such, so that runs are sorted and compared by it; else the text."""
    try:
        found = json.loads(value)
    except ValueError:
        return value
    finite = isinstance(found, int) or (isinstance(found, float) and math.isfinite(found))
    return found if finite else value


def make(
    experiment: Any, request: Request, kind: str, axes: Mapping[str, Sequence[str]], wanted: list[Request],
    at_once: int | None, user: Any,
) -> JobGroup:  # fmt: skip
    if at_once is not None and at_once < 1:
        raise JobRefused("at_once", f"at_once={at_once}; expected at least 1, or leave it out")
    with transaction.atomic():
        group = JobGroup.objects.create(
            experiment=experiment, name=text(request.name, 200) or submit.script_of(request.argv), kind=kind,
            axes=axes, count=len(wanted), at_once=at_once, submitted_by=user,
        )  # fmt: skip
        submit.create(experiment, wanted, user, group)
    return group


def prioritise(group: JobGroup, priority: int) -> tuple[int, list[int]]:
    """Give all its jobs that wait this priority; one that was moved by hand keeps its place among them.

    Returns how many there are, and the priorities that they had.
    """
    with transaction.atomic():
        waiting = Job.objects.select_for_update().filter(group=group, state=JobState.QUEUED)
        was = sorted(set(waiting.values_list("priority", flat=True)))
        changed = waiting.update(priority=priority)
        first = Job.objects.select_related("run").filter(group=group).first()
        if first is not None and changed:
            submit.announce(first)  # one word makes the pages look again
            transaction.on_commit(submit.hurry)
    return changed, was


def stop(group: JobGroup, asked_by: str) -> int:
    """End every job of the group that waits or runs. Returns how many."""
    stopped = 0
    # Those that wait first: else one would start where another has just ended.
    jobs = Job.objects.filter(group=group, state__in=(JobState.QUEUED, JobState.ACTIVE)).order_by(
        "-state", "id"
    )
    for job in jobs:
        try:
            submit.stop(job, asked_by, f"its group {group.name} was stopped")
        except IllegalMove:
            continue  # it ended just then
        stopped += 1
    return stopped


def requeue(group: JobGroup, asked_by: str) -> int:
    """Queue every job of the group again that failed or was stopped; what is done stays so. Returns how many."""
    queued = 0
    for job in Job.objects.filter(group=group, state__in=(JobState.FAILED, JobState.STOPPED)).order_by("id"):
        try:
            submit.requeue(job, asked_by)
        except IllegalMove:
            continue  # somebody was faster, or its last process lives on
        queued += 1
    return queued
