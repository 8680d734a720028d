"""What a person sees first: who they are, and how the site stands."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Count, Q
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.models import Node
from monitoring.storage import series
from training import access
from training.models import Project
from training.states import LIVE, RunState

from .jobs import DeviceCount, device_count
from .permissions import ProjectRole
from .projects import ProjectSerializer
from .run_serializers import RUNS, RunSerializer

SHOWN = 50
ATTENTION_DAYS = 3


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


class RunInNeed(RunSerializer):
    attention = serializers.CharField(read_only=True, help_text="What is wrong, in words.")

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "attention"]


class NodeCount(serializers.Serializer):
    online = serializers.IntegerField()
    silent = serializers.IntegerField()
    lost = serializers.IntegerField()


class StoreSize(serializers.Serializer):
    points = serializers.IntegerField()
    bytes = serializers.IntegerField()


class OverviewSerializer(serializers.Serializer):
    running = RunSerializer(many=True)
    queued = serializers.IntegerField()
    needs_attention = RunInNeed(many=True)
    nodes = NodeCount()
    devices = DeviceCount()
    store = StoreSize()


class Overview(APIView):
    """Live runs, runs in trouble (silent now; failed or lost within 3 days), nodes, devices, the store."""

    permission_classes = [ProjectRole]

    @extend_schema(responses=OverviewSerializer)
    def get(self, request):
        runs = access.visible(RUNS, request.user)
        context = {"request": request}
        counts = dict(Node.objects.values_list("state").annotate(Count("pk")).order_by())
        stats = series.stats()
        return Response(
            {
                "running": RunSerializer(
                    runs.filter(state__in=LIVE)[:SHOWN], many=True, context=context
                ).data,
                "queued": runs.filter(state=RunState.QUEUED).count(),
                "needs_attention": RunInNeed(in_need(runs), many=True, context=context).data,
                "nodes": {state: counts.get(state, 0) for state in Node.State.values},
                "devices": device_count(),
                "store": {"points": stats.get("points", 0), "bytes": stats.get("bytes", 0)},
            }
        )


def in_need(runs):
    now = timezone.now()
    silent = Q(state__in=LIVE, last_seen_at__lt=now - timedelta(seconds=settings.SILENT_SECONDS))
    broken = Q(state__in=[RunState.FAILED, RunState.LOST], ended_at__gt=now - timedelta(days=ATTENTION_DAYS))
    found = list(runs.filter(silent | broken, experiment__archived=False)[:SHOWN])
    for run in found:
        run.attention = run.state if run.state in {RunState.FAILED, RunState.LOST} else "silent"
    return found
