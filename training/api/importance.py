"""Which settings of an experiment's runs matter for a metric."""

import math
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.filters import known_query
from scaleweb_sdk.protocol import MAX_KEY_LENGTH
from training import access
from training.importance import MOST_RUNS, importance
from training.models import Experiment, Role, Run

from .narrowed import CODES, NARROWING, NARROWING_PARAMETERS, by_codes, narrow
from .permissions import ProjectRole


class ImportantSettingSerializer(serializers.Serializer):
    name = serializers.CharField(help_text="Dotted path in the config.")
    kind = serializers.ChoiceField(choices=["number", "words"])
    values = serializers.IntegerField(help_text="How many different ones.")
    runs = serializers.IntegerField(help_text="That have the setting.")
    correlation = serializers.FloatField(allow_null=True, help_text="Spearman's, -1 to 1; null for words.")
    importance = serializers.FloatField(
        allow_null=True, help_text="What shuffling it costs of the explained share; null without a forest."
    )
    spread = serializers.FloatField(
        allow_null=True, help_text="Standard deviation of that over folds and repeats."
    )


class ImportanceSerializer(serializers.Serializer):
    metric = serializers.CharField()
    at = serializers.DateTimeField(help_text="When: runs that ended since are not in it as they ended.")
    runs = serializers.IntegerField(help_text="With a finite last value of the metric; the newest are taken.")
    left_out = serializers.IntegerField(help_text="Runs without one.")
    explained = serializers.FloatField(
        allow_null=True, help_text="R² of the forest on unseen runs; null with too few runs for one."
    )
    settings = ImportantSettingSerializer(many=True)


class Importance(APIView):
    """Settings by how much they matter for a metric's last value: rank correlation and permutation importance.

    Of a random forest on the metric's rank, on runs that it has not seen (three folds); the newest 1,000 of the
    experiment's runs that match.
    """

    permission_classes = [ProjectRole]

    @extend_schema(
        parameters=[
            OpenApiParameter("metric", str, required=True, description="Key of the metric."),
            CODES,
            *NARROWING_PARAMETERS,
        ],
        responses=ImportanceSerializer,
    )
    def get(self, request, pk: int):
        experiment = access.fetch(Experiment.objects.all(), request.user, Role.VIEWER, pk=pk)
        known_query(request, "metric", "code", *NARROWING)
        asked = request.query_params
        metric = asked.get("metric", "")
        if not metric or len(metric) > MAX_KEY_LENGTH or "\0" in metric:
            raise ValidationError({"metric": [f"Expected a key of 1 to {MAX_KEY_LENGTH} characters."]})
        matching = Run.objects.filter(experiment=experiment)
        if codes := asked.get("code"):
            matching = by_codes(matching, codes)
        matching = narrow(matching, asked.getlist("where"), asked.get("filter", ""), asked.get("find", ""))
        at = timezone.now()
        rows = matching.order_by("-id")[: 2 * MOST_RUNS]
        runs, left_out = [], 0
        for config, summary in rows.values_list("config", "summary"):
            value = finite(summary.get(metric))
            if value is None:
                left_out += 1
            else:
                runs.append((config, value))
        found = importance(runs)
        answer = {
            "metric": metric,
            "at": at,
            "runs": found.runs,
            "left_out": left_out,
            "explained": found.explained,
            "settings": found.settings,
        }
        return Response(ImportanceSerializer(answer).data)


def finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
