"""What a job makes of devices, as fitted to its own step times."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from control import rescale
from training import access
from training.api.permissions import ProjectRole
from training.models import Role


class StepTimeSerializer(serializers.Serializer):
    kind = serializers.CharField()
    devices = serializers.IntegerField()
    step_seconds = serializers.FloatField()
    micro_batch = serializers.FloatField(help_text="Samples a device works on at once.")


class DevicePointSerializer(serializers.Serializer):
    kind = serializers.CharField()
    devices = serializers.IntegerField()
    goodput = serializers.FloatField(help_text="Useful samples a second.")
    samples_per_second = serializers.FloatField()
    efficiency = serializers.FloatField()
    batch = serializers.FloatField()
    speedup = serializers.FloatField(help_text="Over one device of the kind.")


class GoodputSerializer(serializers.Serializer):
    job = serializers.CharField()
    measured = StepTimeSerializer(many=True)
    noise_scale = serializers.FloatField(allow_null=True)
    models = serializers.DictField(
        help_text="Per kind of device: the throughput model's parameters and spreads."
    )
    table = DevicePointSerializer(many=True)
    note = serializers.CharField(allow_blank=True, help_text="Why there is no model, where there is none.")


class JobGoodput(APIView):
    """Throughput and goodput of a job for each number and kind of devices, with the step times behind them."""

    permission_classes = [ProjectRole]

    @extend_schema(responses=GoodputSerializer)
    def get(self, request: Any, code: str) -> Response:
        job = access.fetch(rescale.active_jobs(), request.user, Role.VIEWER, code=code)
        return Response(GoodputSerializer(rescale.told(job)).data)
