"""How a run and what belongs to it are written as JSON."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from monitoring.api.strict import JsonMap, Name, StrictModelSerializer, StrictSerializer, Text, Whole
from scaleweb_sdk.protocol import MAX_STEP
from training import access
from training.models import Checkpoint, Command, Experiment, Project, Role, Run, RunEvent, Tunable
from training.progress import progress_of
from training.states import LIVE, RunState

from .experiments import VisibleProject
from .roles import role_in
from .slugs import free_slug

RUNS = Run.objects.select_related("experiment__project", "created_by", "parent", "job__group")
MAX_TAGS = 100


class TagList(serializers.ListField):
    child = Name(max_length=100)

    def __init__(self, **options: Any):
        super().__init__(max_length=MAX_TAGS, **options)

    def to_internal_value(self, data: Any) -> list[str]:
        # Counted before doubles are left out: a list of a million equal tags is a mistake as well.
        if isinstance(data, list) and len(data) > MAX_TAGS:
            raise ValidationError(f"{len(data)} tags; at most {MAX_TAGS} are kept.")
        return list(dict.fromkeys(super().to_internal_value(data)))


class VisibleExperiment(serializers.PrimaryKeyRelatedField):
    default_error_messages = {
        "does_not_exist": "There is no experiment {pk_value}, or you have no role in its project."
    }

    def __init__(self, **options: Any):
        if not options.get("read_only"):
            options["queryset"] = Experiment.objects.select_related("project")
        super().__init__(**options)

    def get_queryset(self) -> QuerySet[Experiment]:
        return access.visible(Experiment.objects.select_related("project"), self.context["request"].user)


class VisibleRun(serializers.SlugRelatedField):
    default_error_messages = {"does_not_exist": "There is no run {value!r:.80} that you can see."}

    def __init__(self, **options: Any):
        if not options.get("read_only"):
            options["queryset"] = Run.objects.all()
        super().__init__(slug_field="code", **options)

    def get_queryset(self) -> QuerySet[Run]:
        return access.visible(Run.objects.all(), self.context["request"].user)

    def to_internal_value(self, data: Any) -> Run:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class InExperiment(StrictSerializer):
    """Mixin for what is created in an experiment: by its id, or by project and name, made when it is new.

    Without a project it goes to `default`, or to the only one the caller may write to.
    """

    def chosen_experiment(self, data: dict[str, Any]) -> Experiment:
        """Take the three fields out of `data`. Raises ValidationError, or PermissionDenied."""
        user = self.context["request"].user
        experiment = data.pop("experiment", None)
        project, name = data.pop("project", None), data.pop("experiment_name", "")
        if experiment is not None:
            if project is not None or name:
                raise ValidationError(
                    {"experiment": ["Give experiment, or project and experiment_name, not both."]}
                )
            access.check(user, experiment, Role.OPERATOR)
            return experiment
        if not name:
            raise ValidationError({"experiment": ["This field is required, or experiment_name."]})
        project = project or access.home_project(user)
        if project is None:
            raise ValidationError(
                {"project": ["This field is required: you may write to several projects, or to none."]}
            )
        access.check(user, project, Role.OPERATOR)
        return named_experiment(project, name, user)


@transaction.atomic
def named_experiment(project: Project, name: str, user: Any) -> Experiment:
    """The project's newest experiment of this name or slug, made when there is none."""
    # The project's row is the lock: two scripts that start at once share one experiment.
    Project.objects.select_for_update().get(pk=project.pk)
    for lookup in ({"name": name}, {"slug": name}):
        found = Experiment.objects.select_related("project").filter(project=project, **lookup).first()
        if found is not None:
            return found
    return Experiment.objects.create(
        project=project, name=name, slug=free_slug(project, name), created_by=user
    )


class ProgressSerializer(serializers.Serializer):
    step = serializers.IntegerField(allow_null=True)
    total_steps = serializers.IntegerField(
        allow_null=True, help_text="Where it ends by its control of that or its config; null: nobody knows."
    )
    step_seconds = serializers.FloatField(
        allow_null=True, help_text="As it was logged last, else on average since it started."
    )


class RunSerializer(StrictModelSerializer):
    name = Name(max_length=200)
    experiment = VisibleExperiment(read_only=True)
    experiment_name = Text(source="experiment.name", read_only=True)
    project = Text(source="experiment.project.slug", read_only=True)
    silent = serializers.SerializerMethodField(help_text="Live, but not heard of for a while.")
    config = JsonMap(read_only=True)
    tags = TagList(required=False)
    created_by = Text(source="created_by.username", default=None, read_only=True, allow_null=True)
    parent = VisibleRun(read_only=True, allow_null=True)
    summary = JsonMap(read_only=True)
    lows = JsonMap(
        read_only=True,
        help_text="The least value of each key that was logged; only where columns ask for it.",
    )
    highs = JsonMap(read_only=True, help_text="The greatest, likewise.")
    usage = JsonMap(
        read_only=True,
        help_text="Device time, energy and money of its attempts; null is unknown, {} not counted yet.",
    )
    process = JsonMap(read_only=True)
    branches = serializers.ListField(child=serializers.DictField(), read_only=True)
    actions = serializers.ListField(child=serializers.DictField(), read_only=True)
    offers = serializers.ListField(child=serializers.DictField(), read_only=True)
    job = serializers.SerializerMethodField()
    group = serializers.SerializerMethodField(
        help_text="Name and code of the grid or array that its job is of, as `NAME · CODE`."
    )
    progress = serializers.SerializerMethodField(help_text="Of a run that goes on; else null.")
    can = serializers.SerializerMethodField(help_text="Your own role: viewer, operator or admin.")

    class Meta:
        model = Run
        fields = [
            "code", "name", "experiment", "experiment_name", "project", "state", "silent", "config", "tags",
            "notes", "created_by", "created_at", "started_at", "ended_at", "last_seen_at", "last_step",
            "parent", "parent_step", "branches", "summary", "lows", "highs", "usage", "process", "actions",
            "offers", "job", "group", "progress", "can",
        ]  # fmt: skip
        read_only_fields = [
            "code", "state", "created_at", "started_at", "ended_at", "last_seen_at", "last_step",
            "parent_step",
        ]  # fmt: skip

    def get_fields(self) -> dict[str, Any]:
        chosen = self.context.get("chosen")
        fields = super().get_fields()
        if chosen is None:
            # As long as the summary again, and few ask.
            return {name: fields[name] for name in fields if name not in {"lows", "highs"}}
        return {name: fields[name] for name in fields if name in chosen.fields}

    def to_representation(self, run: Run) -> Any:
        written = super().to_representation(run)
        chosen = self.context.get("chosen")
        return written if chosen is None else chosen.narrowed(written)

    def get_silent(self, run: Run) -> bool:
        if run.state not in LIVE or run.last_seen_at is None:
            return False
        return timezone.now() - run.last_seen_at > timedelta(seconds=settings.SILENT_SECONDS)

    def get_job(self, run: Run) -> str | None:
        job = getattr(run, "job", None)
        return job.code if job else None

    def get_group(self, run: Run) -> str | None:
        job = getattr(run, "job", None)
        return job.group.label if job and job.group else None

    @extend_schema_field(ProgressSerializer(allow_null=True))
    def get_progress(self, run: Run) -> Any:
        return progress_of(run)

    def get_can(self, run: Run) -> str:
        return role_in(self.context["request"], run.experiment.project_id)


class NewRunSerializer(InExperiment):
    experiment = VisibleExperiment(required=False)
    project = VisibleProject(required=False)
    experiment_name = Name(max_length=200, required=False)
    name = Name(max_length=200, required=False)
    config = JsonMap(required=False)
    tags = TagList(required=False)
    notes = Text(max_length=100_000, required=False, allow_blank=True)
    parent = VisibleRun(required=False, allow_null=True)
    parent_step = Whole(min_value=0, max_value=MAX_STEP, required=False, allow_null=True)
    session = Text(max_length=64, required=False)

    def create(self, data: dict[str, Any]) -> Run:
        experiment = self.chosen_experiment(data)
        user, session = self.context["request"].user, data.pop("session", "")
        if session:
            made = made_before(user, session)
            if made is not None:
                return made
            data["process"] = {"made_for": session}  # until the process tells of itself
        parent = data.get("parent")
        if parent is not None and parent.experiment.project_id != experiment.project_id:
            raise ValidationError({"parent": ["The parent run is in another project."]})
        run = Run(experiment=experiment, created_by=user, **data)
        run.name = run.name or run.code
        run.branches = [{"index": 0, "from_step": 0, "reason": "start", "at": timezone.now().isoformat()}]
        run.save(force_insert=True)
        return run


def made_before(user: Any, session: str) -> Run | None:
    """The run that was made for this session, whose answer got lost: no process has spoken for it yet."""
    # Of two that ask at once, one waits here. Call within a transaction.
    get_user_model().objects.select_for_update().get(pk=user.pk)
    return Run.objects.filter(created_by=user, state=RunState.QUEUED, process__made_for=session).first()


class NewRunAnswer(RunSerializer):
    """A run with the token its process connects with; shown this once."""

    token = serializers.CharField(read_only=True)

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "token"]


class TunableSerializer(serializers.ModelSerializer):
    class Meta:
        model = Tunable
        fields = [
            "name", "kind", "value", "initial", "low", "high", "scale", "choices", "role", "description", "about",
            "changed_at", "changed_step", "changed_by",
        ]  # fmt: skip


class CommandSerializer(serializers.ModelSerializer):
    acks = JsonMap(read_only=True, help_text="Each rank's answer: {rank: {step, ok, message}}.")
    group = Text(
        read_only=True,
        help_text="Shared by what is applied at one boundary, all or none.",
    )
    at_step = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="The step that it waits for."
    )
    drops = serializers.ListField(child=serializers.IntegerField(), read_only=True)
    schedule = serializers.IntegerField(source="schedule_id", read_only=True, allow_null=True)

    class Meta:
        model = Command
        fields = [
            "id", "seq", "verb", "tunable", "value", "asked_by", "by_person", "reason", "origin", "state",
            "created_at", "sent_at", "applied_at", "applied_step", "old_value", "new_value", "message", "acks", "group",
            "at_step", "drops", "schedule",
        ]  # fmt: skip


class NewCommandSerializer(StrictSerializer):
    """What `training.commands.issue` checks against the run; here only the shapes."""

    verb = Text(max_length=12)
    tunable = Text(max_length=200, required=False, allow_blank=True, default="")
    value = serializers.JSONField(required=False, allow_null=True, default=None)
    reason = Text(max_length=10_000, required=False, allow_blank=True, default="")
    at_step = Whole(min_value=0, max_value=MAX_STEP, required=False, allow_null=True, default=None)
    key = Text(
        max_length=64,
        required=False,
        allow_blank=True,
        default="",
        help_text="Asked again, it is asked once.",
    )


class CheckpointSerializer(serializers.ModelSerializer):
    kept_by = serializers.ListField(
        child=serializers.CharField(),
        read_only=True,
        help_text="Which rules of its process hold it, as of the last save: newest, loss (least), metric (best).",
    )

    class Meta:
        model = Checkpoint
        fields = [
            "id", "step", "branch", "path", "size_bytes", "sha256", "metrics", "reason", "created_at",
            "pinned", "available", "kept_by",
        ]  # fmt: skip


class RunEventSerializer(serializers.ModelSerializer):
    class Meta:
        model = RunEvent
        fields = ["id", "at", "step", "kind", "old", "new", "reason", "actor", "data"]
