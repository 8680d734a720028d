"""Experiments: a question, its goal, its runs by state."""

from typing import Any

import django_filters
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import generics, serializers
from rest_framework.exceptions import ValidationError

from monitoring.api.strict import Name, Number, StrictModelSerializer, Text
from scaleweb_sdk.protocol import MAX_KEY_LENGTH
from training import access
from training.deleting import delete_experiment
from training.models import Experiment, Project, Role, Run

from .permissions import ProjectScoped
from .slugs import free_slug


class VisibleProject(serializers.SlugRelatedField):
    """A project by its slug, among those the caller has a role in."""

    default_error_messages = {
        "does_not_exist": "There is no project {value!r:.80}, or you have no role in it."
    }

    def __init__(self, **options: Any):
        if not options.get("read_only"):
            options["queryset"] = Project.objects.all()
        super().__init__(slug_field="slug", **options)

    def run_validation(self, data: Any = serializers.empty) -> Project | None:
        # "" means none was named, where none need be.
        return super().run_validation(serializers.empty if data == "" and not self.required else data)

    def get_queryset(self) -> QuerySet[Project]:
        return access.visible(Project.objects.all(), self.context["request"].user)

    def to_internal_value(self, data: Any) -> Project:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "object", "additionalProperties": {"type": "integer"}})
class RunCounts(serializers.ReadOnlyField):
    pass


class ExperimentSerializer(StrictModelSerializer):
    project = VisibleProject()
    name = Name(max_length=200)
    slug = serializers.SlugField(max_length=100, required=False)
    goal_metric = Name(max_length=MAX_KEY_LENGTH, required=False, allow_blank=True)
    budget_device_hours = Number(required=False, allow_null=True, min_value=0, max_value=1e9)
    created_by = Text(source="created_by.username", default=None, read_only=True, allow_null=True)
    run_counts = RunCounts(help_text="How many runs are in each state; states without a run are left out.")
    controller_mode = serializers.SerializerMethodField()

    class Meta:
        model = Experiment
        fields = [
            "id", "project", "slug", "name", "notes", "goal_metric", "goal_direction", "goal_target",
            "budget_device_hours", "deadline", "archived", "created_at", "created_by", "run_counts",
            "controller_mode",
        ]  # fmt: skip
        read_only_fields = ["created_at"]
        validators: list = []  # the slug is checked in `validate`, where a missing one is made

    def get_controller_mode(self, experiment: Experiment) -> str:
        # The relation comes from the control layer above; an experiment nobody set up has no row yet.
        controller = getattr(experiment, "controller", None)
        return controller.mode if controller else "off"

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if self.instance is not None:
            if "project" in data and data["project"] != self.instance.project:
                raise ValidationError({"project": ["An experiment stays in its project."]})
            project = self.instance.project
        else:
            project = data["project"]
            access.check(self.context["request"].user, project, Role.OPERATOR)
            data.setdefault("slug", free_slug(project, data["name"]))
        has = lambda name: data.get(name, getattr(self.instance, name, None))  # noqa: E731
        Experiment(goal_metric=has("goal_metric") or "", goal_target=has("goal_target")).clean()
        same = Experiment.objects.filter(project=project, slug=data.get("slug", ""))
        if same.exclude(pk=getattr(self.instance, "pk", None)).exists():
            raise ValidationError({"slug": [f"The project has an experiment {data['slug']} already."]})
        return data


def with_counts(experiments: list[Experiment]) -> list[Experiment]:
    """Give each experiment `run_counts`, in one query for all."""
    counts: dict[int, dict[str, int]] = {experiment.pk: {} for experiment in experiments}
    rows = Run.objects.filter(experiment__in=counts).values_list("experiment_id", "state").order_by()
    for pk, state, number in rows.annotate(number=Count("pk")):
        counts[pk][state] = number
    for experiment in experiments:
        experiment.run_counts = counts[experiment.pk]  # type: ignore[attr-defined]
    return experiments


class ExperimentFilter(django_filters.FilterSet):
    project = django_filters.CharFilter(field_name="project__slug")
    search = django_filters.CharFilter(
        method="by_words", help_text="Part of the name, the slug or the notes."
    )
    archived = django_filters.BooleanFilter()

    class Meta:
        model = Experiment
        fields = ["project", "archived"]

    def by_words(self, queryset, name, value):
        return queryset.filter(
            Q(name__icontains=value) | Q(slug__icontains=value) | Q(notes__icontains=value)
        )


EXPERIMENTS = Experiment.objects.select_related("project", "created_by", "controller")


class Experiments(ProjectScoped, generics.ListCreateAPIView):
    """Experiments of your projects, newest first: a question, its goal and budget, its runs by state."""

    queryset = EXPERIMENTS
    serializer_class = ExperimentSerializer
    filterset_class = ExperimentFilter

    def paginate_queryset(self, queryset):
        return with_counts(super().paginate_queryset(queryset))

    def perform_create(self, serializer):
        try:
            with transaction.atomic():
                serializer.save(created_by=self.request.user)
        except IntegrityError:
            raise ValidationError({"slug": ["Another experiment took this slug just now."]}) from None
        with_counts([serializer.instance])


class ExperimentDetail(ProjectScoped, generics.RetrieveUpdateDestroyAPIView):
    """One experiment. It stays in its project, and a target needs a metric.

    Deleting an experiment deletes its runs and their series; it is refused while one of them is live.
    """

    queryset = EXPERIMENTS
    serializer_class = ExperimentSerializer
    http_method_names = ["get", "patch", "delete", "head", "options"]

    def get_object(self):
        return with_counts([super().get_object()])[0]

    def perform_destroy(self, experiment: Experiment) -> None:
        delete_experiment(experiment)
