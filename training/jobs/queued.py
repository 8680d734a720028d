"""The jobs that wait, as rows of their table and as the values of `placement`."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import F, OuterRef, Subquery, Window
from django.db.models.functions import Coalesce, RowNumber
from django.utils import timezone

from training.models import Attempt, Job, JobState

from . import wishes
from .turns import Waiting

MAX_JOBS_A_TICK = 5000
ASKED = (
    "pk", "device_kind", "min_devices", "max_devices", "wanted_devices", "max_nodes", "priority", "position",
    *wishes.FIELDS,
)  # fmt: skip
# Few jobs have labels, and text that is read as JSON is what takes longest of a row: they are read by themselves.
LABELS = "node_labels"
NONE: dict[str, str] = {}

Row = dict[str, Any]


def rows(most: int = MAX_JOBS_A_TICK) -> list[Row]:
    """The queued jobs, at most so many: the first of each project before the second of any, so that a thousand jobs of
    one do not hide another's."""
    jobs = Job.objects.filter(state=JobState.QUEUED, held=False)
    labels = dict(jobs.exclude(node_labels={}).values_list("pk", LABELS))
    project = F("run__experiment__project_id")
    turn = Window(RowNumber(), partition_by=project, order_by=["-priority", "id"])
    last_end = Attempt.objects.filter(job=OuterRef("pk")).order_by("-number").values("ended_at")[:1]
    jobs = jobs.annotate(project=project, turn=turn, since=Coalesce(Subquery(last_end), "submitted_at"))
    columns = [name for name in ASKED if name != LABELS]
    found = jobs.order_by("-priority", "turn", "id").values(*columns, "project", "since", "waiting_reason")
    return [row | {LABELS: labels.get(row["pk"], NONE)} for row in found[:most]]


def waiting() -> list[Waiting]:
    return values_of(rows(), timezone.now())


def values_of(found: Iterable[Row], now: datetime) -> list[Waiting]:
    asked = [(row, wishes.Wish.of(row)) for row in found]
    only = wishes.suitable(wish for _, wish in asked)
    lengths = known_lengths()
    return [value_of(row, wish, only, now, lengths.get(row["pk"])) for row, wish in asked]


def value_of(
    row: Row,
    wish: wishes.Wish,
    only: Mapping[wishes.Wish, frozenset[int]],
    now: datetime,
    seconds: float | None,
) -> Waiting:
    """seconds: how long it will run, None where nobody knows."""
    return Waiting(
        row["pk"], row["project"], row["device_kind"], row["min_devices"],
        row["wanted_devices"] or row["max_devices"], row["priority"], (now - row["since"]).total_seconds(),
        row["max_nodes"], *wishes.told(wish, only), row["pk"] if row["position"] is None else row["position"],
        seconds, row["memory_bytes"] or 0,
    )  # fmt: skip


def known_lengths() -> dict[int, float]:
    """How long waiting jobs will run at most, of those of which `expecting` knows."""
    known = (
        Job.objects.filter(state=JobState.QUEUED).exclude(outlook={}).values_list("pk", "outlook__seconds")
    )
    return {pk: float(seconds) for pk, seconds in known if isinstance(seconds, int | float)}


def as_if_it_waited(job: Job) -> Waiting:
    """A job that has just given its devices back, as one that begins to wait: what it asks of its nodes stands."""
    now = timezone.now()
    row = {name: getattr(job, name) for name in ASKED}
    row |= {"project": job.run.experiment.project_id, "since": now}
    wish = wishes.Wish.of(row)
    return value_of(row, wish, wishes.suitable([wish]), now, None)
