"""How a run does, for the head of its page."""

from dataclasses import asdict

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from control.condition import condition
from training import access
from training.api.permissions import ProjectRole
from training.models import Role, Run

STATES = [
    "healthy",
    "early",
    "diverged",
    "recovering",
    "recovered",
    "plateau",
    "stalled",
    "silent",
    "slow_loader",
    "ended",
]


class RunConditionSerializer(serializers.Serializer):
    state = serializers.ChoiceField(choices=STATES)
    figures = serializers.DictField(
        help_text="What the word rests on: metric, kind, step of the onset, since, level, healthy, peak and the "
        "change before it mended; gain over steps; share; seconds."
    )
    step = serializers.IntegerField(allow_null=True)
    total_steps = serializers.IntegerField(
        allow_null=True, help_text="null: the run does not say where it ends."
    )
    step_seconds = serializers.FloatField(allow_null=True)
    eta_seconds = serializers.FloatField(allow_null=True, help_text="null: unknown.")


class RunCondition(APIView):
    """How a run does in one word, and when it will be done, from its newest points."""

    permission_classes = [ProjectRole]

    @extend_schema(responses=RunConditionSerializer)
    def get(self, request, code: str):
        runs = Run.objects.select_related("experiment__project").prefetch_related("tunables")
        return Response(asdict(condition(access.fetch(runs, request.user, Role.VIEWER, code=code))))
