"""What a person sees first: who they are, and how the site stands."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.db.models.functions import TruncHour
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.models import Node
from monitoring.storage import series
from training import access
from training.jobs import ticks
from training.models import Project
from training.progress import ENDS
from training.states import LIVE, RunState

from .in_need import SHOWN, Needs, RunInNeed, decisions
from .permissions import ProjectRole
from .projects import ProjectSerializer
from .queue import DeviceCount, device_count
from .run_serializers import RUNS, RunSerializer

HOURS = 24
ACTED = 5  # of what the controller did last


class MeSerializer(serializers.Serializer):
    username = serializers.CharField()
    is_admin = serializers.BooleanField()
    version = serializers.CharField()
    projects = ProjectSerializer(many=True)


class Me(APIView):
    """The caller, and the projects they have a role in."""

    @extend_schema(responses=MeSerializer)
    def get(self, request):
        projects = access.visible(Project.objects.all(), request.user)
        return Response(
            {
                "username": request.user.get_username(),
                "is_admin": request.user.is_superuser,
                "version": settings.VERSION,
                "projects": ProjectSerializer(projects, many=True, context={"request": request}).data,
            }
        )


class NodeCount(serializers.Serializer):
    online = serializers.IntegerField()
    silent = serializers.IntegerField()
    lost = serializers.IntegerField()


class StoreSize(serializers.Serializer):
    points = serializers.IntegerField()
    bytes = serializers.IntegerField()


class Acted(serializers.Serializer):
    """What the controller did to a run, as far as a line tells it."""

    id = serializers.IntegerField()
    run = serializers.CharField(help_text="Its code.", source="run__code")
    run_name = serializers.CharField(source="run__name")
    policy = serializers.CharField()
    state = serializers.CharField()
    verdict = serializers.CharField()
    verb = serializers.CharField()
    tunable = serializers.CharField()
    old_value = serializers.JSONField()
    new_value = serializers.JSONField()
    changes = serializers.JSONField()
    created_at = serializers.DateTimeField()


class ControllerDay(serializers.Serializer):
    """What the controller did in the last 24 hours, in the projects you see."""

    changes = serializers.IntegerField(help_text="Decisions that reached a run.")
    better = serializers.IntegerField()
    worse = serializers.IntegerField()
    undone = serializers.IntegerField(help_text="Taken back, by verdict or by a person.")
    waiting = serializers.IntegerField(help_text="Proposals that wait for a person's answer now.")
    latest = Acted(many=True, help_text="The newest of those changes, at most five.")


class DayOfRuns(serializers.Serializer):
    """How runs ended in the last 24 hours, in the projects you see."""

    finished = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Failed or lost.")
    hours = serializers.ListField(
        child=serializers.IntegerField(), help_text="How many ended in each hour, the present one last."
    )


class OverviewSerializer(serializers.Serializer):
    running = RunSerializer(many=True, help_text="At most 50 of them.")
    live = serializers.IntegerField(help_text="How many run.")
    queued = serializers.IntegerField()
    needs_attention = RunInNeed(many=True, help_text="Those that go on before those that ended; 50 at most.")
    in_need = serializers.IntegerField(
        help_text="How many need attention, with those that are not told: `needs` has them all."
    )
    nodes = NodeCount()
    devices = DeviceCount()
    store = StoreSize()
    controller = ControllerDay()
    day = DayOfRuns()
    stalled = serializers.CharField(
        help_text="As in `queue`: why nothing is placed, where the ticks are late."
    )


class Overview(APIView):
    """Live runs, runs that need a person (a proposal waits, silent now, diverged though it runs, failed or lost within
    3 days), nodes, devices, the store, the last day of the controller and of the runs."""

    permission_classes = [ProjectRole]

    @extend_schema(responses=OverviewSerializer)
    def get(self, request):
        runs = access.visible(RUNS.prefetch_related(ENDS), request.user)
        context = {"request": request}
        counts = dict(Node.objects.values_list("state").annotate(Count("pk")).order_by())
        needing, in_need = Needs(runs, request.user).first()
        stats = series.stats()
        return Response(
            {
                "running": RunSerializer(
                    runs.filter(state__in=LIVE)[:SHOWN], many=True, context=context
                ).data,
                "live": runs.filter(state__in=LIVE).count(),
                "queued": runs.filter(state=RunState.QUEUED).count(),
                "needs_attention": RunInNeed(needing, many=True, context=context).data,
                "in_need": in_need,
                "nodes": {state: counts.get(state, 0) for state in Node.State.values},
                "devices": device_count(),
                "store": {"points": stats.get("points", 0), "bytes": stats.get("bytes", 0)},
                "controller": controller_day(request.user),
                "day": day_of(runs),
                "stalled": ticks.stalled(timezone.now()),
            }
        )


def controller_day(user) -> dict[str, Any]:
    recent = decisions(user).filter(created_at__gt=timezone.now() - timedelta(days=1))
    acted = Q(state__in=("sent", "applied", "judged", "undone"))
    counts = recent.aggregate(
        changes=Count("pk", filter=acted),
        better=Count("pk", filter=acted & Q(verdict="better")),
        worse=Count("pk", filter=acted & Q(verdict="worse")),
        undone=Count("pk", filter=Q(state="undone")),
    )
    columns = [field.source for field in Acted().fields.values()]
    latest = recent.filter(acted).order_by("-id").values(*columns)[:ACTED]
    waiting = decisions(user).filter(state="proposed").count()
    return counts | {"waiting": waiting, "latest": Acted(latest, many=True).data}


def day_of(runs) -> dict[str, Any]:
    now = timezone.now()
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    ended = runs.filter(ended_at__gte=first).order_by()
    rows = ended.annotate(hour=TruncHour("ended_at")).values("hour", "state").annotate(n=Count("pk"))
    day: dict[str, Any] = {"finished": 0, "failed": 0, "hours": [0] * HOURS}
    for row in rows:
        at = int((row["hour"] - first).total_seconds() // 3600)
        if 0 <= at < HOURS:  # a clock ahead of ours
            day["hours"][at] += row["n"]
        if row["state"] == RunState.FINISHED:
            day["finished"] += row["n"]
        elif row["state"] in {RunState.FAILED, RunState.LOST}:
            day["failed"] += row["n"]
    return day
