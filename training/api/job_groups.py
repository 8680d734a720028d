"""Grids and arrays: many jobs asked for, shown and stopped as one."""

from collections.abc import Callable

import django_filters
from django.db import transaction
from django.db.models import Count, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.strict import Nothing
from training import access
from training.jobs import groups
from training.models import Job, JobGroup, JobState, Role

from .job_requests import NewGroupSerializer
from .jobs import PrioritySerializer
from .permissions import ProjectRole, ProjectScoped

GROUPS = JobGroup.objects.select_related("experiment__project", "submitted_by")
MAX_CODES = 1000


class JobGroupListSerializer(serializers.ListSerializer):
    def to_representation(self, data):
        rows = list(data.all() if hasattr(data, "all") else data)
        self.child.states = states_of(rows)
        return [self.child.to_representation(row) for row in rows]


class JobGroupSerializer(serializers.ModelSerializer):
    experiment = serializers.IntegerField(source="experiment_id")
    project = serializers.CharField(source="experiment.project.slug")
    axes = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    submitted_by = serializers.CharField(source="submitted_by.username", default=None, allow_null=True)
    label = serializers.CharField(
        read_only=True, help_text="The value of its runs in the column `group`: `NAME · CODE`."
    )
    jobs = serializers.SerializerMethodField(help_text="How many are queued, active, done, failed, stopped.")

    class Meta:
        model = JobGroup
        list_serializer_class = JobGroupListSerializer
        fields = [
            "code", "name", "label", "kind", "axes", "count", "at_once", "experiment", "project", "submitted_by",
            "submitted_at", "jobs",
        ]  # fmt: skip

    states: dict[int, dict[str, int]] | None = None

    def get_jobs(self, group: JobGroup) -> dict[str, int]:
        known = self.states if self.states is not None else states_of([group])
        return known.get(group.pk, dict.fromkeys(JobState.values, 0))


class NewGroupAnswer(JobGroupSerializer):
    runs = serializers.SerializerMethodField(help_text="Codes of the first 1,000 runs, in the grid's order.")

    class Meta(JobGroupSerializer.Meta):
        fields = [*JobGroupSerializer.Meta.fields, "runs"]

    def get_runs(self, group: JobGroup) -> list[str]:
        return list(group.jobs.order_by("id").values_list("run__code", flat=True)[:MAX_CODES])


def states_of(rows: list[JobGroup]) -> dict[int, dict[str, int]]:
    found = {row.pk: dict.fromkeys(JobState.values, 0) for row in rows}
    counted: QuerySet = Job.objects.filter(group__in=rows).order_by().values_list("group_id", "state")
    for group, state, count in counted.annotate(Count("pk")):
        found[group][state] = count
    return found


class JobGroupFilter(django_filters.FilterSet):
    project = django_filters.CharFilter(field_name="experiment__project__slug")
    experiment = django_filters.NumberFilter(
        field_name="experiment_id", min_value=1, max_value=2**53, decimal_places=0
    )

    class Meta:
        model = JobGroup
        fields = ["project", "experiment"]


class JobGroups(ProjectScoped, generics.ListCreateAPIView):
    """Grids and arrays of your projects, newest first."""

    queryset = GROUPS
    serializer_class = JobGroupSerializer
    filterset_class = JobGroupFilter

    @extend_schema(request=NewGroupSerializer, responses={201: NewGroupAnswer})
    def post(self, request):
        """Queue one job for each combination of a grid, or each index of an array: all of them or none."""
        wanted = NewGroupSerializer(data=request.data, context=self.get_serializer_context())
        wanted.is_valid(raise_exception=True)
        with transaction.atomic():  # an experiment that is made for a group goes where the group is refused
            arguments = wanted.arguments()
            make = groups.submit_grid if "grid" in arguments else groups.submit_array
            group = make(user=request.user, **arguments)
        return Response(NewGroupAnswer(group).data, status=status.HTTP_201_CREATED)


class JobGroupDetail(ProjectScoped, generics.RetrieveAPIView):
    """A grid or an array, and how many of its jobs wait, run and have ended."""

    queryset = GROUPS
    serializer_class = NewGroupAnswer
    lookup_field = lookup_url_kwarg = "code"


class ActOnGroup(APIView):
    """What one button does to a whole group. act: of the group and of who asked; returns of how many jobs."""

    permission_classes = [ProjectRole]
    counted: str
    act: Callable[[JobGroup, str], int]

    def post(self, request, code: str):
        group = access.fetch(GROUPS, request.user, Role.OPERATOR, code=code)
        Nothing(data=request.data).is_valid(raise_exception=True)
        return Response({self.counted: type(self).act(group, request.user.get_username())})


class StoppedSerializer(serializers.Serializer):
    stopped = serializers.IntegerField()


@extend_schema(request=Nothing, responses=StoppedSerializer)
class StopGroup(ActOnGroup):
    """End every job of the group that waits or runs."""

    counted, act = "stopped", staticmethod(groups.stop)


class RequeuedSerializer(serializers.Serializer):
    queued = serializers.IntegerField()


@extend_schema(request=Nothing, responses=RequeuedSerializer)
class RequeueGroup(ActOnGroup):
    """Queue every job of the group again that failed or was stopped; each goes on from its newest checkpoint."""

    counted, act = "queued", staticmethod(groups.requeue)


class PrioritisedSerializer(serializers.Serializer):
    changed = serializers.IntegerField(help_text="Jobs that wait and have this priority now.")
    was = serializers.ListField(
        child=serializers.IntegerField(), help_text="The priorities that they had before."
    )


@extend_schema(request=PrioritySerializer, responses=PrioritisedSerializer)
class PrioritiseGroup(APIView):
    """Move every waiting job of the group in the queue; higher starts sooner."""

    permission_classes = [ProjectRole]

    def post(self, request, code: str):
        group = access.fetch(GROUPS, request.user, Role.OPERATOR, code=code)
        wanted = PrioritySerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        changed, was = groups.prioritise(group, wanted.validated_data["priority"])
        return Response({"changed": changed, "was": was})
