"""The site's own workers and ticks, for whoever asks why nothing moves."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.permissions import SiteAdmin
from training.jobs import at_work
from training.jobs.ticks import Tick


class WorkerSerializer(serializers.Serializer):
    name = serializers.CharField()
    hostname = serializers.CharField()
    pid = serializers.IntegerField()
    queues = serializers.ListField(
        child=serializers.CharField(), help_text="control, and node.NAME of a node."
    )
    running = serializers.ListField(child=serializers.CharField(), help_text="Tasks that it does now.")
    done = serializers.IntegerField(help_text="Tasks since it started.")
    uptime_seconds = serializers.IntegerField()


class TickSerializer(serializers.Serializer):
    task = serializers.CharField()
    every_seconds = serializers.FloatField(source="every")
    done_at = serializers.DateTimeField(
        source="at", allow_null=True, help_text="Null: not since the broker was emptied."
    )
    late = serializers.SerializerMethodField()
    seconds = serializers.FloatField(allow_null=True, help_text="How long the last one took.")
    failed = serializers.IntegerField(help_text="How often it raised since the broker was emptied.")

    def get_late(self, tick: Tick) -> bool:
        return tick.late(timezone.now())


class WorkersSerializer(serializers.Serializer):
    workers = WorkerSerializer(many=True, help_text="Those that answered within a second.")
    ticks = TickSerializer(many=True)
    wrong = serializers.ListField(
        child=serializers.CharField(), help_text="What is to be seen to, in sentences."
    )


class Workers(APIView):
    """The Celery workers of the site, asked now, and when each tick was last done."""

    permission_classes = [SiteAdmin]

    @extend_schema(responses=WorkersSerializer)
    def get(self, request):
        return Response(WorkersSerializer(at_work.told(timezone.now())).data)
