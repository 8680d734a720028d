"""Rules, what they may watch for, and what they would have found."""

from datetime import timedelta
from typing import Any

import msgspec
from django.utils import timezone
from drf_spectacular.utils import OpenApiTypes, extend_schema, extend_schema_field
from rest_framework import generics, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import access
from alerts.conditions import CONDITIONS, BadParameters, parameters_of
from alerts.look import look
from alerts.models import Channel, Rule
from alerts.presets import PRESETS
from alerts.rules import changed, remove, restore, watched
from alerts.tick import moment, plain
from monitoring.api.filters import known_query
from monitoring.api.strict import (
    JsonMap,
    Moment,
    Name,
    Nothing,
    Number,
    StrictModelSerializer,
    StrictSerializer,
    Text,
)
from monitoring.live.publish import publish_change
from training.api.experiments import VisibleProject
from training.models import Experiment

MOST_SPANS = 500


class ConditionSerializer(serializers.Serializer):
    name = serializers.CharField()
    looks_at = serializers.ChoiceField(choices=["run", "node", "device", "job"])
    title = serializers.CharField()
    told = serializers.CharField()
    parameters = serializers.JSONField(help_text="JSON Schema of the parameters.")


class PresetSerializer(serializers.Serializer):
    name = serializers.CharField()
    condition = serializers.CharField()
    parameters = serializers.JSONField()
    severity = serializers.CharField()
    hold_seconds = serializers.FloatField()
    told = serializers.CharField()


class ConditionsAnswer(serializers.Serializer):
    conditions = ConditionSerializer(many=True)
    presets = PresetSerializer(many=True)


class Conditions(APIView):
    """Everything a rule can watch for, with its parameters, and rules to begin with."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses=ConditionsAnswer)
    def get(self, request: Any) -> Response:
        known_query(request)
        kinds = [
            {
                "name": kind.name,
                "looks_at": kind.looks_at,
                "title": kind.title,
                "told": kind.told,
                "parameters": schema_of(kind.parameters),
            }
            for kind in CONDITIONS.values()
        ]
        return Response({"conditions": kinds, "presets": [preset._asdict() for preset in PRESETS]})


def schema_of(parameters: type[msgspec.Struct]) -> dict[str, Any]:
    """The struct's own JSON schema, without the wrapping of one that stands in a larger document."""
    (whole,), definitions = msgspec.json.schema_components([parameters])
    return definitions[whole["$ref"].rsplit("/", 1)[1]]


class Wanted(StrictSerializer):
    """What a look needs: checked the same for a rule and for a preview."""

    project = VisibleProject(required=False, allow_null=True, default=None)
    experiment = serializers.PrimaryKeyRelatedField(
        queryset=Experiment.objects.all(), required=False, allow_null=True, default=None
    )
    condition = Text(max_length=40)
    parameters = JsonMap(required=False, default=dict)
    hold_seconds = Number(min_value=0, max_value=30 * 86_400, required=False, default=0)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        check_rule(self.context["request"].user, data)
        return data


def check_rule(user: Any, data: dict[str, Any]) -> None:
    """Raise ValidationError or PermissionDenied for a rule that cannot be, or that is not the user's to make."""
    experiment = data.get("experiment")
    if experiment is not None:
        if not access.visible(Experiment.objects.filter(pk=experiment.pk), user).exists():
            raise ValidationError({"experiment": ["There is no such experiment."]})
        if data.get("project") not in (None, experiment.project):
            raise ValidationError({"experiment": [f"It is not of the project {data['project'].slug}."]})
        data["project"] = experiment.project
    access.check(user, data.get("project"))
    kind = CONDITIONS.get(data["condition"])
    if kind is None:
        raise ValidationError({"condition": [f"Expected one of {', '.join(CONDITIONS)}."]})
    if kind.looks_at == "node" and data.get("project") is not None:
        raise ValidationError(
            {
                "project": [
                    "Nodes are the whole site's: a rule about them has no project, and a site admin makes it."
                ]
            }
        )
    try:
        parameters_of(data["condition"], data["parameters"])
    except BadParameters as error:
        raise ValidationError({"parameters": [f"{error}."]}) from None


class ChannelIds(serializers.PrimaryKeyRelatedField):
    def get_queryset(self) -> Any:
        return access.visible(Channel.objects.all(), self.context["request"].user)


class RuleSerializer(StrictModelSerializer):
    project = VisibleProject(required=False, allow_null=True)
    experiment = serializers.PrimaryKeyRelatedField(
        queryset=Experiment.objects.all(), required=False, allow_null=True
    )
    name = Name(max_length=200)
    condition = Text(max_length=40)
    parameters = JsonMap(required=False)
    hold_seconds = Number(min_value=0, max_value=30 * 86_400, required=False)
    quiet_seconds = Number(min_value=0, max_value=30 * 86_400, required=False)
    muted_until = Moment(required=False, allow_null=True)
    channels = ChannelIds(many=True, required=False)
    created_by = Text(source="created_by.username", default=None, read_only=True, allow_null=True)
    firing = serializers.SerializerMethodField(
        help_text="How many of its alerts that you may see are firing."
    )

    class Meta:
        model = Rule
        fields = [
            "id", "project", "experiment", "name", "condition", "parameters", "severity", "hold_seconds",
            "quiet_seconds", "enabled", "muted_until", "channels", "looked_until", "problem", "created_by",
            "created_at", "firing",
        ]  # fmt: skip
        read_only_fields = ["looked_until", "problem", "created_at"]

    @extend_schema_field(OpenApiTypes.INT)
    def get_firing(self, rule: Rule) -> int:
        return access.visible(rule.alerts.filter(resolved_at=None), self.context["request"].user).count()

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        user = self.context["request"].user
        if self.instance is not None:
            access.check(user, self.instance.project)
        whole = {
            name: data.get(name, getattr(self.instance, name, default))
            for name, default in (
                ("project", None),
                ("experiment", None),
                ("condition", ""),
                ("parameters", {}),
            )
        }
        check_rule(user, whole)
        data["project"] = whole["project"]
        for channel in data.get("channels", ()):
            if channel.project not in (None, whole["project"]):
                raise ValidationError({"channels": [f"{channel.name} is another project's."]})
            if channel.project is None and not user.is_superuser and channel not in self.had():
                raise ValidationError(
                    {"channels": [f"{channel.name} is the whole site's: a site administrator adds it."]}
                )
        return data

    def had(self) -> list[Channel]:
        return list(self.instance.channels.all()) if self.instance is not None else []


ALL_RULES = Rule.objects.select_related("project", "created_by").prefetch_related("channels")
RULES = ALL_RULES.filter(removed_at=None)


def tell_of_rules() -> None:
    """Open pages that list the rules read them again."""
    publish_change("alerts", "rule", {})


class Rules(generics.ListCreateAPIView):
    """The rules of your projects and of the whole site."""

    permission_classes = [IsAuthenticated]
    queryset = RULES
    serializer_class = RuleSerializer

    def get_queryset(self) -> Any:
        return access.visible(super().get_queryset(), self.request.user)

    def perform_create(self, serializer: Any) -> None:
        serializer.save(created_by=self.request.user)
        tell_of_rules()


class RuleDetail(generics.RetrieveUpdateDestroyAPIView):
    """One rule. A change of what it watches for resolves what it has firing, and tells its channels; so does switching
    it off. To remove it does too, and keeps what it found: `restore` brings it back."""

    permission_classes = [IsAuthenticated]
    queryset = RULES
    serializer_class = RuleSerializer
    http_method_names = ["get", "patch", "delete", "head", "options"]

    def get_queryset(self) -> Any:
        return access.visible(super().get_queryset(), self.request.user)

    def perform_update(self, serializer: Any) -> None:
        before = watched(serializer.instance)
        changed(serializer.save(), before)
        tell_of_rules()

    def perform_destroy(self, rule: Rule) -> None:
        access.check(self.request.user, rule.project)
        remove(rule)
        tell_of_rules()


class RestoreRule(APIView):
    """Bring a removed rule back, with its past alerts; what its removal ended fires again. Twice is no more."""

    permission_classes = [IsAuthenticated]

    @extend_schema(request=Nothing, responses=RuleSerializer)
    def post(self, request: Any, pk: int) -> Response:
        Nothing(data=request.data).is_valid(raise_exception=True)
        rule = access.fetch(ALL_RULES, request.user, pk)
        access.check(request.user, rule.project)
        restore(rule)
        tell_of_rules()
        return Response(RuleSerializer(RULES.get(pk=pk), context={"request": request}).data)


class PreviewWanted(Wanted):
    hours = Number(min_value=0.1, max_value=30 * 24, required=False, default=24)


class PreviewSpan(serializers.Serializer):
    subject = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    run = serializers.CharField(allow_null=True)
    node = serializers.CharField(allow_null=True)
    start = serializers.DateTimeField()
    end = serializers.DateTimeField(
        allow_null=True, help_text="Null: it still holds, or did when its run ended."
    )
    value = serializers.FloatField(allow_null=True)
    step = serializers.IntegerField(allow_null=True)
    message = serializers.CharField()


class PreviewAnswer(serializers.Serializer):
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    looked_at = serializers.IntegerField(help_text="Subjects that were looked at.")
    count = serializers.IntegerField(help_text="How often it would have held.")
    spans = PreviewSpan(many=True, help_text=f"The newest {MOST_SPANS}, newest first.")


class Preview(APIView):
    """When a rule would have held in the past hours, of what is stored. Nothing is kept, nobody is told."""

    permission_classes = [IsAuthenticated]

    @extend_schema(request=PreviewWanted, responses=PreviewAnswer)
    def post(self, request: Any) -> Response:
        wanted = PreviewWanted(data=request.data, context={"request": request})
        wanted.is_valid(raise_exception=True)
        data = dict(wanted.validated_data)
        until = timezone.now()
        since = until - timedelta(hours=data.pop("hours"))
        found = look(Rule(**data, created_at=since), since, until, past=True)
        begin = since.timestamp()
        spans = [
            (span, subject)
            for subject, each in found.spans.items()
            for span in each
            if span.end is None or span.end >= begin
        ]
        spans.sort(key=lambda pair: -pair[0].start)
        rows = [
            {
                "subject": subject.name,
                "label": subject.label,
                "run": subject.run.code if subject.run else None,
                "node": subject.node.name if subject.node else None,
                "start": moment(max(span.start, begin)),
                "end": None if span.end is None else moment(span.end),
                "value": plain(span.value),
                "step": span.step,
                "message": span.message,
            }
            for span, subject in spans[:MOST_SPANS]
        ]
        answer = {
            "since": since,
            "until": until,
            "looked_at": found.looked_at,
            "count": len(spans),
            "spans": rows,
        }
        return Response(PreviewAnswer(answer).data)
