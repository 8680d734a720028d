"""Where a run comes from and what came of it: the runs it goes on from, those that go on from it, adopted weights."""

from typing import Any

from django.db import connection
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from training import access
from training.models import Role, Run, RunEvent

from .permissions import ProjectRole
from .run_serializers import RUNS

MAX_UP = 20  # generations
MAX_DOWN = 3
MAX_DESCENDANTS = 200
MAX_ADOPTIONS = 200
LOSSES = ("loss", "train/loss", "train_loss", "training_loss")
# One query for the whole family, whatever its shape; a union of both ways, each bounded.
FAMILY = """
WITH RECURSIVE up(id, depth) AS (
    SELECT parent_id, 1 FROM training_run WHERE id = %s
    UNION ALL
    SELECT run.parent_id, depth + 1 FROM training_run run JOIN up ON run.id = up.id
    WHERE depth < %s AND run.parent_id IS NOT NULL
), down(id, depth) AS (
    SELECT id, 1 FROM training_run WHERE parent_id = %s
    UNION ALL
    SELECT run.id, depth + 1 FROM training_run run JOIN down ON run.parent_id = down.id WHERE depth < %s
)
SELECT id, -depth FROM up WHERE id IS NOT NULL
UNION ALL SELECT id, depth FROM (SELECT id, depth FROM down ORDER BY depth, id DESC LIMIT %s) nearest
"""


class FigureSerializer(serializers.Serializer):
    key = serializers.CharField()
    value = serializers.JSONField(help_text='A number, or "NaN", "Infinity", "-Infinity".')


class RelativeSerializer(serializers.Serializer):
    code = serializers.CharField()
    name = serializers.CharField()
    state = serializers.CharField()
    experiment = serializers.IntegerField(source="experiment_id")
    experiment_name = serializers.CharField(source="experiment.name")
    generation = serializers.SerializerMethodField(help_text="-1 is the parent, 1 a child.")
    parent = serializers.CharField(source="parent.code", default=None, allow_null=True)
    parent_step = serializers.IntegerField(allow_null=True)
    checkpoint = serializers.SerializerMethodField(
        help_text="The id of the parent's checkpoint that it began from; null: not known."
    )
    last_step = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    figure = serializers.SerializerMethodField(
        help_text="Its last value of the experiment's goal metric, else of its loss."
    )

    def get_generation(self, run: Run) -> int:
        return self.context["generation"][run.pk]

    def get_checkpoint(self, run: Run) -> int | None:
        begin = run.job.start_from if hasattr(run, "job") else {}
        forked = run.parent is not None and begin.get("run") == run.parent.code
        return begin.get("checkpoint") if forked else None

    @extend_schema_field(FigureSerializer(allow_null=True))
    def get_figure(self, run: Run) -> dict[str, Any] | None:
        keys = [run.experiment.goal_metric, *LOSSES]
        key = next((key for key in keys if key and key in run.summary), None)
        return None if key is None else {"key": key, "value": run.summary[key]}


class AdoptionSerializer(serializers.Serializer):
    run = serializers.CharField(help_text="The code of the run that took weights over.")
    run_name = serializers.CharField()
    step = serializers.IntegerField(allow_null=True, help_text="Its step at which it did.")
    source = serializers.CharField(help_text="The code of the run that they are from.")
    source_name = serializers.CharField(help_text="Empty where it was deleted.", allow_blank=True)
    source_step = serializers.IntegerField(allow_null=True)
    checkpoint = serializers.IntegerField(allow_null=True, help_text="Of the run that they are from.")
    by = serializers.CharField()
    at = serializers.DateTimeField()


class LineageSerializer(serializers.Serializer):
    relatives = RelativeSerializer(many=True)
    children_total = serializers.IntegerField(help_text="`relatives` has the newest of them.")
    adoptions = AdoptionSerializer(many=True)


class Lineage(APIView):
    """The family of a run: up to 20 generations before it, the nearest 200 runs of three generations after it, and
    the newest 200 times that weights were taken over from another run or by one."""

    permission_classes = [ProjectRole]

    @extend_schema(responses=LineageSerializer)
    def get(self, request: Any, code: str) -> Response:
        run = access.fetch(Run.objects.all(), request.user, Role.VIEWER, code=code)
        generation = family(run)
        relatives = access.visible(RUNS.filter(pk__in=generation), request.user)
        found = {
            "relatives": sorted(relatives, key=lambda each: (generation[each.pk], each.pk)),
            "children_total": run.children.count(),
            "adoptions": adoptions(run, request.user),
        }
        return Response(LineageSerializer(found, context={"generation": generation}).data)


def family(run: Run) -> dict[int, int]:
    """{id: generation} of the runs around this one."""
    with connection.cursor() as cursor:
        cursor.execute(FAMILY, [run.pk, MAX_UP, run.pk, MAX_DOWN, MAX_DESCENDANTS])
        return dict(cursor.fetchall())


def adoptions(run: Run, user: Any) -> list[dict[str, Any]]:
    """Newest last."""
    lines = access.visible(RunEvent.objects.select_related("run").order_by("-id"), user)
    taken = lines.filter(run=run, kind="lineage")[:MAX_ADOPTIONS]
    # Written out, as SQLite takes an index of some rows only where its condition stands in the statement.
    given = lines.filter(RawSQL("kind = 'lineage'", [], BooleanField()), new=run.code)[:MAX_ADOPTIONS]
    newest = sorted([*taken, *given], key=lambda line: -line.pk)[:MAX_ADOPTIONS]
    sources = Run.objects.filter(code__in={line.new for line in newest})
    names = dict(access.visible(sources, user).values_list("code", "name"))
    return [
        {
            "run": line.run.code,
            "run_name": line.run.name,
            "step": line.step,
            "source": line.new,
            "source_name": names.get(line.new, ""),
            "source_step": line.data.get("step"),
            "checkpoint": line.data.get("checkpoint"),
            "by": line.actor,
            "at": line.at,
        }
        for line in reversed(newest)
    ]
