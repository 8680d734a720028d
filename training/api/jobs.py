"""Jobs and the queue."""

from typing import Any

import django_filters
from django.db import transaction
from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.strict import Nothing, StrictSerializer, Whole
from training import access
from training.jobs import dependencies, submit
from training.models import Attempt, Job, JobDependency, JobState, Role, Usage, WorkingCopy
from training.progress import ENDS_OF, progress_of
from training.states import IllegalMove

from .job_requests import AfterSerializer, NewJobSerializer
from .permissions import ProjectRole, ProjectScoped
from .run_serializers import ProgressSerializer

JOBS = Job.objects.select_related(
    "run__experiment__project", "submitted_by", "group", "working_copy"
).prefetch_related(
    Prefetch("run__tunables", ENDS_OF, to_attr="ends"),
    Prefetch("dependencies", JobDependency.objects.select_related("on")),
    Prefetch(
        "attempts",
        Attempt.objects.select_related("node", "usage", "resumed_from__run").prefetch_related(
            "devices__node", "members__node"
        ),
    ),
)


class UsageSerializer(serializers.ModelSerializer):
    """What an attempt used; null is unknown."""

    class Meta:
        model = Usage
        fields = [
            "device_seconds", "joules", "power_seconds", "rate_per_hour", "cost", "currency", "counted_until",
            "settled",
        ]  # fmt: skip


class BeginningSerializer(serializers.Serializer):
    checkpoint = serializers.IntegerField(source="pk")
    run = serializers.CharField(source="run.code")
    step = serializers.IntegerField()


class AttemptSerializer(serializers.ModelSerializer):
    node = serializers.CharField(source="node.name")
    nodes = serializers.SerializerMethodField(help_text="All of them, the first one first.")
    devices = serializers.SerializerMethodField()
    usage = UsageSerializer(default=None, allow_null=True, help_text="null before it was first counted.")
    resumed_from = BeginningSerializer(
        default=None, allow_null=True, help_text="The checkpoint that it went on from; null: it began anew."
    )

    class Meta:
        model = Attempt
        fields = [
            "number", "node", "nodes", "devices", "state", "outcome", "exit_code", "signal", "first_error_line",
            "created_at", "started_at", "ended_at", "preempt_asked_at", "preempt_reason", "usage", "resumed_from",
        ]  # fmt: skip

    def get_devices(self, attempt: Attempt) -> list[str]:
        return [
            f"{device.kind}{device.index}"
            if device.node_id == attempt.node_id
            else f"{device.node.name}/{device.kind}{device.index}"
            for device in attempt.devices.all()
        ]

    def get_nodes(self, attempt: Attempt) -> list[str]:
        return [attempt.node.name, *(member.node.name for member in attempt.members.all())]


class CopySerializer(serializers.ModelSerializer):
    class Meta:
        model = WorkingCopy
        fields = ["sha256", "size_bytes"]


class DependencySerializer(serializers.ModelSerializer):
    code = serializers.CharField(source="on_code", help_text="The job or group that is waited for.")
    state = serializers.CharField(
        source="on.state",
        default=None,
        allow_null=True,
        help_text="The job's; null of a group, and once it was deleted.",
    )

    class Meta:
        model = JobDependency
        fields = ["code", "when", "state"]


class OutlookSerializer(serializers.Serializer):
    """Empty where nothing is foretold: the job does not wait, or is far behind."""

    starts_at = serializers.DateTimeField(default=None, allow_null=True, help_text="null: nobody knows.")
    by = serializers.CharField(default="", help_text="What it is known by: asked, pace, history.")
    words = serializers.CharField(default="", help_text="What has to happen first.")


class JobSerializer(serializers.ModelSerializer):
    run = serializers.CharField(source="run.code")
    run_name = serializers.CharField(source="run.name")
    run_state = serializers.CharField(source="run.state")
    experiment = serializers.IntegerField(source="run.experiment_id")
    project = serializers.CharField(source="run.experiment.project.slug")
    argv = serializers.ListField(child=serializers.CharField())
    submitted_by = serializers.CharField(source="submitted_by.username", default=None, allow_null=True)
    usage = serializers.DictField(source="run.usage")
    working_copy = CopySerializer(allow_null=True)
    git = serializers.DictField(help_text="url, revision, branch, dirty, and the commit that a node found.")
    node_labels = serializers.DictField(child=serializers.CharField())
    group = serializers.CharField(source="group.code", default=None, allow_null=True)
    group_name = serializers.CharField(source="group.name", default=None, allow_null=True)
    after = DependencySerializer(source="dependencies", many=True)
    outlook = OutlookSerializer(
        help_text="Of a waiting job near the front: when it will start, and why then."
    )
    progress = serializers.SerializerMethodField(help_text="Of its run, while that goes on; else null.")
    attempts = AttemptSerializer(many=True)

    class Meta:
        model = Job
        fields = [
            "code", "run", "run_name", "run_state", "experiment", "project", "argv", "cwd", "working_copy", "git",
            "device_kind", "device_name", "device_memory_bytes", "memory_bytes", "node_labels", "deadline", "group",
            "group_name", "group_index", "after", "min_devices", "max_devices", "launcher", "max_nodes", "keep",
            "wanted_devices", "priority", "preemptible", "max_retries", "retries_used", "state",
            "waiting_reason", "outlook", "submitted_by", "submitted_at", "ended_at", "usage", "progress",
            "attempts",
        ]  # fmt: skip

    @extend_schema_field(ProgressSerializer(allow_null=True))
    def get_progress(self, job: Job) -> Any:
        return progress_of(job.run)


class PrioritySerializer(StrictSerializer):
    priority = Whole(min_value=-1000, max_value=1000)


class JobFilter(django_filters.FilterSet):
    project = django_filters.CharFilter(field_name="run__experiment__project__slug")
    experiment = django_filters.NumberFilter(
        field_name="run__experiment_id", min_value=1, max_value=2**53, decimal_places=0
    )
    state = django_filters.MultipleChoiceFilter(choices=JobState.choices)
    group = django_filters.CharFilter(field_name="group__code")

    class Meta:
        model = Job
        fields = ["project", "experiment", "state", "group"]


class Jobs(ProjectScoped, generics.ListCreateAPIView):
    """Jobs of your projects, newest first, each with its attempts."""

    queryset = JOBS
    serializer_class = JobSerializer
    filterset_class = JobFilter

    @extend_schema(request=NewJobSerializer, responses={201: JobSerializer})
    def post(self, request):
        """Queue a command. It starts on a node's free devices as soon as there are enough."""
        wanted = NewJobSerializer(data=request.data, context=self.get_serializer_context())
        wanted.is_valid(raise_exception=True)
        with transaction.atomic():  # an experiment that is made for a job goes where the job is refused
            job = submit.submit(user=request.user, **wanted.arguments())
        return Response(JobSerializer(JOBS.get(pk=job.pk)).data, status=status.HTTP_201_CREATED)


class JobDetail(ProjectScoped, generics.RetrieveAPIView):
    """One job: its command, what it waits for, and each execution with how it ended."""

    queryset = JOBS
    serializer_class = JobSerializer
    lookup_field = lookup_url_kwarg = "code"


class JobAction(APIView):
    """An operator's hand on a job; answers with the job as it is then."""

    permission_classes = [ProjectRole]
    takes: type[StrictSerializer] = Nothing

    def post(self, request, code: str):
        job = access.fetch(JOBS, request.user, Role.OPERATOR, code=code)
        wanted = self.takes(data=request.data)
        wanted.is_valid(raise_exception=True)
        self.act(job, request.user.get_username(), **wanted.validated_data)
        return Response(JobSerializer(JOBS.get(pk=job.pk)).data)

    def act(self, job: Job, asked_by: str, **arguments: Any) -> None:
        raise NotImplementedError


@extend_schema(request=Nothing, responses=JobSerializer)
class Stop(JobAction):
    """End a job: at once while it waits, else by a command to its run and then by a signal."""

    def act(self, job, asked_by):
        submit.stop(job, asked_by)


class RequeueSerializer(StrictSerializer):
    checkpoint = Whole(
        min_value=1,
        max_value=2**63 - 1,
        required=False,
        help_text="Go on from this one of the run's instead.",
    )


@extend_schema(request=RequeueSerializer, responses=JobSerializer)
class Requeue(JobAction):
    """Queue a job again that is over; it goes on from its newest checkpoint, or from the one that is named.

    What was logged after that one stays, as a faded branch; settings that were changed since stay changed.
    """

    takes = RequeueSerializer

    def act(self, job, asked_by, checkpoint=None):
        chosen = None
        if checkpoint is not None:
            chosen = job.run.checkpoints.filter(pk=checkpoint).first()
            if chosen is None:
                raise ValidationError({"checkpoint": [f"Run {job.run.code} has no checkpoint {checkpoint}."]})
        submit.requeue(job, asked_by, chosen)


@extend_schema(request=PrioritySerializer, responses=JobSerializer)
class Priority(JobAction):
    """Move a waiting job in the queue; higher starts sooner."""

    takes = PrioritySerializer

    def act(self, job, asked_by, priority):
        won = Job.objects.filter(pk=job.pk, state=JobState.QUEUED).update(priority=priority)
        if not won:
            job.refresh_from_db(fields=["state"])
            raise IllegalMove(f"job {job.code} is {job.state}; priority counts while it waits in the queue")
        submit.announce(job)
        submit.hurry()


@extend_schema(request=AfterSerializer, responses=JobSerializer)
class After(JobAction):
    """Let a waiting job wait for these instead; none lets it go. A circle is refused."""

    takes = AfterSerializer

    def act(self, job, asked_by, after):
        dependencies.change(job, after)
        submit.hurry()
