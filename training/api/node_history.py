"""A node's past: who was on its devices, what it cost, and which errors met whom."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.filters import known_query
from monitoring.api.nodes import found
from training import access, node_history
from training.jobs import draining
from training.models import Attempt, Run

MOST_HOURS = 30 * 24


class HistoryQuery(serializers.Serializer):
    hours = serializers.FloatField(min_value=0.1, max_value=MOST_HOURS, default=24)


class PastAttempt(serializers.Serializer):
    run = serializers.CharField(allow_null=True, help_text="Null where you have no role in its project.")
    run_name = serializers.CharField()
    experiment = serializers.IntegerField(allow_null=True)
    devices = serializers.ListField(child=serializers.CharField())
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    outcome = serializers.CharField(allow_blank=True)
    device_seconds = serializers.FloatField(allow_null=True)
    energy_joules = serializers.FloatField(allow_null=True)
    cost = serializers.FloatField(allow_null=True)


class PastFault(serializers.Serializer):
    at = serializers.DateTimeField()
    until = serializers.DateTimeField(allow_null=True)
    device = serializers.CharField()
    kind = serializers.ChoiceField(choices=["xid", "ecc", "throttle"])
    text = serializers.CharField()
    count = serializers.IntegerField()
    runs = serializers.ListField(
        child=serializers.CharField(), help_text="Codes of your runs on the device then."
    )
    others = serializers.IntegerField(help_text="How many runs of projects you have no role in.")


class NodeSums(serializers.Serializer):
    """Over the attempts shown, each counted whole; null where nothing is known."""

    device_seconds = serializers.FloatField()
    energy_joules = serializers.FloatField(allow_null=True)
    cost = serializers.FloatField(allow_null=True)
    currency = serializers.CharField(allow_blank=True)


class Drain(serializers.Serializer):
    leaving = serializers.IntegerField(help_text="Jobs that leave at a checkpoint.")
    staying = serializers.IntegerField(
        help_text="Jobs that save none, or may not be asked, and stay to their end."
    )


class HistoryAnswer(serializers.Serializer):
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    attempts = PastAttempt(many=True)
    faults = PastFault(many=True)
    sums = NodeSums()
    drain = Drain(
        allow_null=True, help_text="What becomes of what runs there; null where the node is not draining."
    )


class NodeHistory(APIView):
    """Attempts and errors of the past hours, newest first, with what they used. Runs of other projects have no name."""

    permission_classes = [IsAuthenticated]

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "hours", float, description=f"How far back, 0.1 to {MOST_HOURS}; 24 when left out."
            )
        ],
        responses=HistoryAnswer,
    )
    def get(self, request: Any, name: str) -> Response:
        wanted = HistoryQuery(data=known_query(request, "hours"))
        wanted.is_valid(raise_exception=True)
        node, until = found(name), timezone.now()
        since = until - timedelta(hours=wanted.validated_data["hours"])
        past = node_history.attempts(node, since, until)
        runs = {attempt.job.run_id for attempt in past}
        mine = set(access.visible(Run.objects.filter(pk__in=runs), request.user).values_list("pk", flat=True))
        answer = {
            "since": since,
            "until": until,
            "attempts": [described(attempt, attempt.job.run_id in mine) for attempt in past],
            "faults": [met(fault, past, mine) for fault in node_history.faults(node, since, until)],
            "sums": sums(past),
            "drain": dict(zip(("leaving", "staying"), draining.left_on(node), strict=True))
            if node.draining
            else None,
        }
        return Response(HistoryAnswer(answer).data)


def described(attempt: Attempt, mine: bool) -> dict[str, Any]:
    run, usage = attempt.job.run, getattr(attempt, "usage", None)
    return {
        "run": run.code if mine else None,
        "run_name": run.name if mine else "",
        "experiment": run.experiment_id if mine else None,
        "devices": [f"{device.kind}{device.index}" for device in attempt.devices.all()],
        "started_at": attempt.started_at or attempt.created_at,
        "ended_at": attempt.ended_at,
        "outcome": attempt.outcome,
        "device_seconds": usage.device_seconds if usage else None,
        "energy_joules": usage.joules if usage else None,
        "cost": usage.cost if usage and mine else None,
    }


def met(fault: node_history.Fault, past: list[Attempt], mine: set[int]) -> dict[str, Any]:
    there = {attempt.job.run_id: attempt.job.run.code for attempt in past if fault.touches(attempt)}
    return {
        "at": fault.at, "until": fault.until, "device": fault.device, "kind": fault.kind, "text": fault.text,
        "count": fault.count, "runs": [code for pk, code in there.items() if pk in mine],
        "others": sum(pk not in mine for pk in there),
    }  # fmt: skip


def sums(past: list[Attempt]) -> dict[str, Any]:
    used = [attempt.usage for attempt in past if getattr(attempt, "usage", None) is not None]
    joules = [usage.joules for usage in used if usage.joules is not None]
    costs = [usage.cost for usage in used if usage.cost is not None]
    return {
        "device_seconds": sum(usage.device_seconds for usage in used),
        "energy_joules": sum(joules) if joules else None,
        "cost": sum(costs) if costs else None,
        "currency": next((usage.currency for usage in used if usage.currency), ""),
    }
