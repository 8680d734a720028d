"""A job as it could be asked for again, and asked for again with changes."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.strict import Name, Text
from training import access
from training.jobs.clone import clone
from training.models import Role

from .job_requests import NewJobSerializer
from .jobs import JOBS, JobSerializer
from .permissions import ProjectRole


class RequestSerializer(serializers.Serializer):
    """What a clone begins with; the environment may hold secrets, so it takes an operator to see it."""

    run = serializers.CharField(source="run.code")
    name = serializers.CharField(source="run.name")
    experiment = serializers.IntegerField(source="run.experiment_id")
    argv = serializers.ListField(child=serializers.CharField())
    env = serializers.DictField(child=serializers.CharField())
    cwd = serializers.CharField()
    config = serializers.DictField(source="run.config")
    tags = serializers.ListField(source="run.tags", child=serializers.CharField())
    working_copy = serializers.CharField(source="working_copy.sha256", default=None, allow_null=True)
    git = serializers.DictField()
    node_labels = serializers.DictField(child=serializers.CharField())
    device_kind = serializers.CharField()
    device_name = serializers.CharField()
    device_memory_bytes = serializers.IntegerField(allow_null=True)
    memory_bytes = serializers.IntegerField(allow_null=True)
    min_devices = serializers.IntegerField()
    max_devices = serializers.IntegerField()
    launcher = serializers.CharField()
    max_nodes = serializers.IntegerField()
    keep = serializers.CharField()
    priority = serializers.IntegerField()
    max_retries = serializers.IntegerField()


class CloneSerializer(NewJobSerializer):
    """Changes to the old job; what is not given stays."""

    settings = serializers.DictField(
        child=Text(max_length=10_000, allow_blank=True, trim_whitespace=False), required=False,
        help_text='{"lr": "1e-3"}: in the command (--lr 0.1, --lr=0.1, lr=0.1, or added) and the run\'s settings.',
    )  # fmt: skip
    env = serializers.DictField(
        child=Text(max_length=100_000, allow_blank=True, allow_null=True, trim_whitespace=False), required=False,
        help_text="Changes; null leaves a variable out.",
    )  # fmt: skip
    name = Name(max_length=200, required=False, allow_blank=True)

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for name in (
            "experiment",
            "experiment_name",
            "project",
            "after",
            "deadline",
            "tags",
            "git",
            "working_copy",
        ):
            del fields[name]
        fields["argv"].required = False
        return fields


class Clone(APIView):
    permission_classes = [ProjectRole]

    @extend_schema(responses=RequestSerializer)
    def get(self, request, code: str):
        """What the job was asked for with, its environment too."""
        job = access.fetch(JOBS, request.user, Role.OPERATOR, code=code)
        return Response(RequestSerializer(job).data)

    @extend_schema(request=CloneSerializer, responses={201: JobSerializer})
    def post(self, request, code: str):
        """Queue a new run like this one, on the same files, with these changes."""
        job = access.fetch(JOBS, request.user, Role.OPERATOR, code=code)
        wanted = CloneSerializer(data=request.data, context={"request": request})
        wanted.is_valid(raise_exception=True)
        made = clone(job, user=request.user, **wanted.validated_data)
        return Response(JobSerializer(JOBS.get(pk=made.pk)).data, status=status.HTTP_201_CREATED)
