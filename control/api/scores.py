"""What the controller did and how well: per experiment, per policy, and every decision as a table."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from control.describe import describe
from control.models import Decision
from control.scores import scores, summary
from monitoring.api.filters import known_query
from training import access
from training.api.permissions import ProjectRole
from training.api.streaming import streamed
from training.models import Experiment, Role

from .serializers import DecisionSerializer

Figure = serializers.FloatField
Count = serializers.IntegerField
GAIN = "Mean logarithm of measured against forecast, positive where the metric was better; null without a figure."


class VerdictsSerializer(serializers.Serializer):
    better = Count()
    same = Count()
    worse = Count()
    unclear = Count()
    mean_gain = Figure(allow_null=True, help_text=GAIN)
    gains = Count(help_text="How many of them have a figure.")


class DayScoreSerializer(VerdictsSerializer):
    day = serializers.DateField(help_text="In UTC, by when the verdict fell.")


class ForecastsSerializer(serializers.Serializer):
    """How often forecasts of not acting held where nothing was done."""

    compared = Count()
    held80 = Count(help_text="Within the 80 % interval.")
    held90 = Count()
    share80 = Figure(allow_null=True)
    share90 = Figure(allow_null=True)


class ScoreSerializer(serializers.Serializer):
    policy = serializers.CharField()
    decisions = Count()
    acted = Count(help_text="Those that reached a run.")
    blocked = Count()
    shadow = Count()
    taken_back = Count()
    verdicts = VerdictsSerializer()
    forecasts = ForecastsSerializer()
    days = DayScoreSerializer(many=True)


class RescuesSerializer(serializers.Serializer):
    made = Count()
    better = Count()


class RestartsSerializer(serializers.Serializer):
    """Roll backs that are no rescue: a start that begins anew."""

    made = Count()
    better = Count()


class TrialsSerializer(serializers.Serializer):
    made = Count()
    kept = Count()
    taken_back = Count()
    open = Count()


class SummarySerializer(serializers.Serializer):
    """What the controller did for an experiment, in figures and one sentence."""

    experiment = Count()
    runs = Count(help_text="Runs with a decision.")
    decisions = serializers.DictField(child=Count(), help_text="How many by state.")
    shadow = Count()
    changes = Count(help_text="Decisions that reached a run.")
    verdicts = VerdictsSerializer()
    rescues = RescuesSerializer()
    restarts = RestartsSerializer()
    trials = TrialsSerializer()
    taken_back = Count()
    saved_steps = Count(
        allow_null=True,
        help_text="A lower bound, of changes that were better; null where nothing was measured.",
    )
    saved_seconds = Figure(allow_null=True)
    lost_steps = Count(help_text="Under changes that were worse or taken back.")
    steps_back = Count(help_text="Thrown away by the controller's roll backs.")
    forecasts = ForecastsSerializer()
    best = DecisionSerializer(allow_null=True)
    sentence = serializers.CharField()


class Summary(APIView):
    """What the controller did for an experiment: rescues, trials, verdicts, steps saved and lost, its forecasts."""

    permission_classes = [ProjectRole]

    @extend_schema(responses=SummarySerializer)
    def get(self, request: Any, pk: int) -> Response:
        known_query(request)
        experiment = access.fetch(Experiment.objects.all(), request.user, Role.VIEWER, pk=pk)
        return Response(summary(experiment))


class Policies(APIView):
    """Each policy's record over the caller's projects, or over one experiment, with its verdicts by day."""

    permission_classes = [ProjectRole]

    @extend_schema(
        parameters=[OpenApiParameter("experiment", int, description="Of this experiment only.")],
        responses=ScoreSerializer(many=True),
    )
    def get(self, request: Any) -> Response:
        return Response([score.as_json() for score in scores(wanted(request))])


class PolicyTable(APIView):
    """Each policy's verdicts by day as CSV, over the caller's projects or over one experiment: its score over time."""

    permission_classes = [ProjectRole]

    @extend_schema(
        parameters=[OpenApiParameter("experiment", int, description="Of this experiment only.")],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Any) -> HttpResponse:
        response = HttpResponse(content_type="text/csv")
        response["Content-Disposition"] = 'attachment; filename="policies.csv"'
        write = csv.writer(response)
        write.writerow(("policy", *DAY_COLUMNS))
        for score in scores(wanted(request)):
            told = score.as_json()
            write.writerows([told["policy"], *(day[name] for name in DAY_COLUMNS)] for day in told["days"])
        return response


def wanted(request: Any) -> Any:
    """Decisions of the caller's projects, or of the experiment that the request names."""
    given = known_query(request, "experiment").get("experiment")
    decisions = access.visible(Decision.objects.all(), request.user)
    return decisions if given is None else decisions.filter(run__experiment=number_of(given))


def number_of(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ValidationError({"experiment": [f"Expected an experiment's number, got {text[:80]!r}."]})
    return int(text)


DAY_COLUMNS = ("day", "better", "same", "worse", "unclear", "mean_gain", "gains")
COLUMNS = (
    "id", "run", "policy", "state", "mode", "verb", "tunable", "old_value", "new_value", "urgent", "trial",
    "decided_step", "applied_step", "judge_at_step", "created_at", "judged_at", "verdict", "metric", "measured",
    "forecast", "low", "high", "difference", "saved_steps", "held80", "held90", "expected_effect", "expected_low",
    "expected_high", "action", "context", "blocked_by", "reason", "sentence", "evidence", "alternatives",
)  # fmt: skip
# Parts of the evidence that have columns of their own.
BESIDE = ("belief", "alternatives")
ROWS_A_PIECE = 200


class DecisionTable(APIView):
    """Every decision of an experiment as CSV, oldest first: what was done, why, what was expected and measured."""

    permission_classes = [ProjectRole]

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Any, pk: int) -> Any:
        known_query(request)
        experiment = access.fetch(Experiment.objects.all(), request.user, Role.VIEWER, pk=pk)
        response = streamed(request._request, table(experiment), "text/csv")
        response["Content-Disposition"] = f'attachment; filename="decisions-{experiment.pk}.csv"'
        return response


def table(experiment: Experiment) -> Iterator[str]:
    """The table in pieces, a bounded number of rows in memory."""
    buffer = io.StringIO()
    write = csv.writer(buffer)
    write.writerow(COLUMNS)
    rows = Decision.objects.filter(run__experiment=experiment).order_by("id")
    rows = rows.select_related("run", "command", "undo_command", "decided_by")
    last = 0
    while True:
        piece = list(rows.filter(pk__gt=last)[:ROWS_A_PIECE])
        write.writerows(row_of(decision) for decision in piece)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        if len(piece) < ROWS_A_PIECE:
            return
        last = piece[-1].pk


def row_of(decision: Decision) -> list[Any]:
    told = describe(decision)
    measured = decision.measured
    belief = decision.evidence.get("belief")
    belief = belief if isinstance(belief, dict) else {}
    known = told | {
        name: measured.get(name) for name in ("forecast", "low", "high", "difference", "saved_steps")
    }
    known |= {
        "metric": decision.forecast.get("metric") or decision.expected.get("metric"),
        "measured": measured.get("measured"),
        "sentence": measured.get("sentence"),
        "expected_effect": decision.expected.get("effect"),
        "expected_low": decision.expected.get("low"),
        "expected_high": decision.expected.get("high"),
        "evidence": {name: value for name, value in decision.evidence.items() if name not in BESIDE},
        "alternatives": decision.evidence.get("alternatives"),
        "action": belief.get("action"),
        "context": belief.get("context"),
    }
    return [cell(known[name]) for name in COLUMNS]


def cell(value: Any) -> Any:
    """A value as a spreadsheet may read it: text that would be a formula there is made text."""
    if isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value
