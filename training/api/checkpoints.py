"""Pinning a checkpoint: no keep rule removes it then; and a new run that goes on from one."""

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.serializers import BooleanField
from rest_framework.views import APIView

from monitoring.api.strict import JsonMap, Name, StrictSerializer, Text, Whole
from monitoring.models import Device
from training import access, pinning
from training.jobs import fork
from training.models import Role, Run

from .jobs import JOBS, JobSerializer
from .permissions import ProjectRole
from .run_serializers import CheckpointSerializer


class PinSerializer(StrictSerializer):
    pinned = BooleanField()


class Pin(APIView):
    """Keep a checkpoint whatever the run's keep rule says, or leave it to the rule again."""

    permission_classes = [ProjectRole]

    @extend_schema(request=PinSerializer, responses=CheckpointSerializer)
    def post(self, request: Any, code: str, pk: int) -> Response:
        """Takes effect at the process's next step boundary, or as the next one starts.

        409: the file is gone, or a fork that waits in the queue still has to begin from it.
        """
        run = access.fetch(Run.objects.all(), request.user, Role.OPERATOR, code=code)
        checkpoint = run.checkpoints.filter(pk=pk).first() if pk < 2**63 else None
        if checkpoint is None:
            raise Http404(f"run {run.code} has no checkpoint {pk}")
        wanted = PinSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        pinned = wanted.validated_data["pinned"]
        checkpoint = pinning.pin(checkpoint, pinned, user=request.user)
        return Response(CheckpointSerializer(checkpoint).data)


class ForkSerializer(StrictSerializer):
    checkpoint = Whole(min_value=1, max_value=2**63 - 1)
    name = Name(max_length=200, required=False, allow_blank=True)
    argv = serializers.ListField(
        child=Text(max_length=100_000, allow_blank=True, trim_whitespace=False),
        allow_empty=False, max_length=1000, required=False, help_text="Instead of the old job's.",
    )  # fmt: skip
    env = serializers.DictField(
        child=Text(max_length=100_000, allow_blank=True, trim_whitespace=False, allow_null=True), required=False,
        help_text="Changes of the old job's; null leaves a variable out.",
    )  # fmt: skip
    config = JsonMap(required=False, help_text="Changes of the old run's, recorded with the new one.")
    device_kind = serializers.ChoiceField(choices=Device.Kind.choices, required=False)
    min_devices = Whole(min_value=1, max_value=1024, required=False)
    max_devices = Whole(min_value=1, max_value=1024, required=False)
    priority = Whole(min_value=-1000, max_value=1000, required=False)
    max_retries = Whole(min_value=0, max_value=100, required=False)


class Fork(APIView):
    """A new run that goes on from a checkpoint of this one."""

    permission_classes = [ProjectRole]

    @extend_schema(request=ForkSerializer, responses={201: JobSerializer})
    def post(self, request: Any, code: str) -> Response:
        """Queues a job like this run's, but for what is given, and pins the checkpoint.

        409: the checkpoint is gone, or the run was not submitted as a job.
        """
        run = access.fetch(Run.objects.all(), request.user, Role.OPERATOR, code=code)
        wanted = ForkSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        data = dict(wanted.validated_data)
        pk = data.pop("checkpoint")
        checkpoint = run.checkpoints.filter(pk=pk).first()
        if checkpoint is None:
            raise ValidationError({"checkpoint": [f"Run {run.code} has no checkpoint {pk}."]})
        job = fork.fork(checkpoint, user=request.user, **data)
        return Response(JobSerializer(JOBS.get(pk=job.pk)).data, status=status.HTTP_201_CREATED)
