"""What is firing and what was, and a person's word that they have seen it."""

from typing import Any

import django_filters
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import access
from alerts.models import Alert, Severity
from alerts.tick import announce
from monitoring.api.strict import Nothing

ALERTS = Alert.objects.select_related("rule", "run", "node", "project", "acknowledged_by")

NOBODY: dict[str, Any] = {"acknowledged_at": None, "acknowledged_by": None}


class AlertSerializer(serializers.ModelSerializer):
    rule_name = serializers.CharField(source="rule.name")
    condition = serializers.CharField(source="rule.condition")
    severity = serializers.ChoiceField(source="rule.severity", choices=Severity.choices)
    rule_removed_at = serializers.DateTimeField(source="rule.removed_at", default=None, allow_null=True)
    run = serializers.CharField(source="run.code", default=None, allow_null=True)
    experiment = serializers.IntegerField(source="run.experiment_id", default=None, allow_null=True)
    node = serializers.CharField(source="node.name", default=None, allow_null=True)
    project = serializers.CharField(source="project.slug", default=None, allow_null=True)
    acknowledged_by = serializers.CharField(source="acknowledged_by.username", default=None, allow_null=True)

    class Meta:
        model = Alert
        fields = [
            "id", "rule", "rule_name", "rule_removed_at", "condition", "severity", "subject", "label", "project", "run",
            "experiment", "node", "message", "value", "step", "started_at", "fired_at", "resolved_at", "end_reason",
            "times", "acknowledged_at", "acknowledged_by",
        ]  # fmt: skip


class AlertFilter(django_filters.FilterSet):
    firing = django_filters.BooleanFilter(field_name="resolved_at", lookup_expr="isnull")
    open = django_filters.BooleanFilter(
        method="by_open", help_text="Firing, and not acknowledged: what needs somebody."
    )
    run = django_filters.CharFilter(field_name="run__code")
    node = django_filters.CharFilter(field_name="node__name")
    project = django_filters.CharFilter(field_name="project__slug")
    experiment = django_filters.NumberFilter(
        field_name="run__experiment_id", min_value=1, max_value=2**53, decimal_places=0
    )
    severity = django_filters.ChoiceFilter(field_name="rule__severity", choices=Severity.choices)

    class Meta:
        model = Alert
        fields = ["rule"]

    def by_open(self, queryset: Any, name: str, value: bool) -> Any:
        needs = {"resolved_at": None, "acknowledged_at": None}
        return queryset.filter(**needs) if value else queryset.exclude(**needs)


class Alerts(generics.ListAPIView):
    """Alerts of your projects and of the whole site, newest first."""

    permission_classes = [IsAuthenticated]
    queryset = ALERTS
    serializer_class = AlertSerializer
    filterset_class = AlertFilter

    def get_queryset(self) -> Any:
        return access.visible(super().get_queryset(), self.request.user)


class Acknowledge(APIView):
    """Say that somebody looks after it: it goes on firing, and needs nobody else. Saying it twice changes nothing."""

    permission_classes = [IsAuthenticated]

    @extend_schema(request=Nothing, responses=AlertSerializer)
    def post(self, request: Any, pk: int) -> Response:
        Nothing(data=request.data).is_valid(raise_exception=True)
        alert = access.fetch(ALERTS, request.user, pk)
        access.check(request.user, alert.project)
        if alert.acknowledged_at is None:
            alert.acknowledged_at, alert.acknowledged_by = timezone.now(), request.user
            alert.save(update_fields=["acknowledged_at", "acknowledged_by"])
            announce([alert])
        return Response(AlertSerializer(alert).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Any, pk: int) -> Response:
        """Take that word back: while it fires it needs somebody again."""
        alert = access.fetch(ALERTS, request.user, pk)
        access.check(request.user, alert.project)
        if Alert.objects.filter(pk=pk).exclude(acknowledged_at=None).update(**NOBODY):
            announce([alert])
        return Response(status=status.HTTP_204_NO_CONTENT)
