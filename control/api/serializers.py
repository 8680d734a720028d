"""What the controller's addresses take and give."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from control.decide import COMMON
from control.describe import describe
from control.guards import InvalidSetting, Limits
from control.models import ChangeEffect, ControllerSettings, Decision, Learning, Mode
from control.parameters import check_guards, check_policies
from control.registry import available
from monitoring.api.strict import JsonMap, StrictSerializer, Text

OBJECT = {"type": "object", "additionalProperties": {}}


@extend_schema_field(OBJECT)
class JsonObject(serializers.JSONField):
    pass


class DecisionSerializer(serializers.ModelSerializer):
    """A decision with its evidence, its forecast of not acting, and what was measured then."""

    run = serializers.SlugRelatedField(slug_field="code", read_only=True)
    command = serializers.IntegerField(read_only=True, allow_null=True, help_text="Its number in the run.")
    undo_command = serializers.IntegerField(read_only=True, allow_null=True)
    decided_by = serializers.CharField(read_only=True, allow_null=True)
    evidence = JsonObject(read_only=True)
    expected = JsonObject(read_only=True)
    forecast = JsonObject(read_only=True)
    measured = JsonObject(read_only=True)

    class Meta:
        model = Decision
        fields = [
            "id", "run", "policy", "state", "mode", "verb", "tunable", "old_value", "new_value", "changes",
            "urgent", "trial", "reason", "evidence", "expected", "forecast", "decided_step", "applied_step",
            "judge_at_step", "created_at", "blocked_by", "command", "undo_command", "verdict", "measured",
            "held80", "held90", "judged_at", "decided_by",
        ]  # fmt: skip
        read_only_fields = fields

    def to_representation(self, decision: Decision) -> dict[str, Any]:
        # One writer for REST and the live path, so that the two cannot differ.
        return describe(decision)


class EffectSerializer(serializers.ModelSerializer):
    """What came of a person's change: the forecast without it, and what was measured."""

    command = serializers.IntegerField(
        source="command.seq", read_only=True, help_text="Its number in the run."
    )
    group = serializers.CharField(source="command.group", read_only=True)
    forecast = JsonObject(read_only=True)
    measured = JsonObject(read_only=True)

    class Meta:
        model = ChangeEffect
        fields = [
            "command", "group", "metric", "forecast", "applied_step", "judge_at_step", "verdict", "measured",
            "created_at", "judged_at",
        ]  # fmt: skip
        read_only_fields = fields


class Reason(StrictSerializer):
    reason = Text(max_length=300, required=False, allow_blank=True, default="")


class PolicySerializer(serializers.Serializer):
    name = serializers.CharField()
    summary = serializers.CharField()
    defaults = JsonObject()


class ControllerSerializer(serializers.Serializer):
    """`policies` and `guards` are the figures in force: defaults with the stored ones in their place."""

    mode = serializers.ChoiceField(choices=Mode.choices)
    learning = serializers.ChoiceField(
        choices=Learning.choices,
        help_text="use: beliefs choose sizes and hold back, verdicts teach. teach: verdicts teach only. off: neither.",
    )
    policies = JsonObject()
    guards = JsonObject()
    available = PolicySerializer(many=True)
    problems = JsonObject(help_text="Policies that could not be loaded or failed in the last tick, in words.")
    changed_at = serializers.DateTimeField(allow_null=True)
    changed_by = serializers.CharField(allow_null=True)

    def to_representation(self, settings: ControllerSettings) -> dict[str, Any]:
        registry = available()
        policies = {
            policy.name: {**COMMON, **policy.defaults, **settings.policies.get(policy.name, {})}
            for policy in registry.policies
        }
        return {
            "mode": settings.mode,
            "learning": settings.learning,
            "policies": policies,
            "guards": Limits.of(settings.guards).__dict__,
            "available": [
                {"name": p.name, "summary": p.summary, "defaults": dict(p.defaults)}
                for p in registry.policies
            ],
            "problems": {**registry.problems, **settings.problems},
            "changed_at": settings.changed_at.isoformat() if settings.changed_at else None,
            "changed_by": settings.changed_by.get_username() if settings.changed_by else None,
        }


class ControllerChange(StrictSerializer):
    """Changes what is named and leaves the rest; null takes a figure back to its default."""

    mode = serializers.ChoiceField(choices=Mode.choices, required=False)
    learning = serializers.ChoiceField(choices=Learning.choices, required=False)
    policies = JsonMap(required=False)
    guards = JsonMap(required=False)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        settings: ControllerSettings = self.context["settings"]
        errors: dict[str, list[str]] = {}
        for name, merged in (("policies", self.merged_policies), ("guards", self.merged_guards)):
            if name in data:
                try:
                    data[name] = merged(settings, data[name])
                except InvalidSetting as error:
                    errors[error.field] = [f"It {error.message}."]
        if errors:
            raise ValidationError(errors)
        return data

    def merged_policies(self, settings: ControllerSettings, given: dict[str, Any]) -> dict[str, Any]:
        merged = {name: dict(parameters) for name, parameters in settings.policies.items()}
        changed = {}
        for name, parameters in given.items():
            if isinstance(parameters, dict):
                changed[name] = {k: v for k, v in parameters.items() if v is not None}
                kept = {k: v for k, v in merged.get(name, {}).items() if k not in parameters}
                merged[name] = kept | changed[name]
            elif parameters is None:
                merged.pop(name, None)
            else:
                changed[name] = parameters
        # Only what is given is checked: a policy that was uninstalled must not block other changes.
        check_policies(changed, available())
        return {name: parameters for name, parameters in merged.items() if parameters}

    def merged_guards(self, settings: ControllerSettings, given: dict[str, Any]) -> dict[str, Any]:
        merged = settings.guards | given
        return check_guards({name: value for name, value in merged.items() if value is not None})


class ReplayWanted(StrictSerializer):
    policies = serializers.ListField(child=Text(max_length=100), required=False, max_length=100)


class ReplayAnswer(serializers.Serializer):
    """`decisions` as elsewhere, but stored nowhere: id is null, state recorded or blocked."""

    decisions = DecisionSerializer(many=True)
    problems = JsonObject(help_text="Policies that failed, in words.")
    moments = serializers.IntegerField(help_text="At how many moments of the run the policies were asked.")
