"""What a table asks of many runs at once: how many match, and which columns they have."""

from collections import Counter
from typing import Any

import msgspec
from django.db.models import Count, Max, TextField
from django.db.models.functions import Cast
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.response import Response

from .narrowed import NARROWING_PARAMETERS, NarrowedRuns
from .run_filters import settings_of

MAX_NAMES = 5000  # of metrics, and of settings: a table shows a hundred
MAX_VALUES = 20  # of a setting, to choose from


class RunCountSerializer(serializers.Serializer):
    count = serializers.IntegerField()
    newest = serializers.DateTimeField(allow_null=True, help_text="When the newest of them was made.")
    states = serializers.DictField(child=serializers.IntegerField())


class RunCount(NarrowedRuns, generics.GenericAPIView):
    """How many runs match, by state."""

    serializer_class = RunCountSerializer
    pagination_class = None

    @extend_schema(parameters=NARROWING_PARAMETERS, responses=RunCountSerializer)
    def get(self, request):
        runs = self.filter_queryset(self.get_queryset()).order_by()
        states: dict[str, int] = {}
        newest = None
        for state, number, latest in runs.values_list("state").annotate(Count("id"), Max("created_at")):
            states[state] = number
            newest = latest if newest is None else max(newest, latest)
        return Response({"count": sum(states.values()), "newest": newest, "states": states})


class SettingSerializer(serializers.Serializer):
    path = serializers.CharField()
    runs = serializers.IntegerField(help_text="How many have it.")
    differs = serializers.BooleanField(help_text="Whether it is not the same for all of them.")
    values = serializers.ListField(
        child=serializers.CharField(), help_text=f"At most {MAX_VALUES}, the commonest first."
    )


class NamedCountSerializer(serializers.Serializer):
    name = serializers.CharField()
    runs = serializers.IntegerField()


class RunColumnsSerializer(serializers.Serializer):
    count = serializers.IntegerField()
    metrics = NamedCountSerializer(many=True)
    settings = SettingSerializer(many=True)
    tags = NamedCountSerializer(many=True)


class RunColumns(NarrowedRuns, generics.GenericAPIView):
    """The metrics, settings and tags of the runs that match, and which settings differ between them."""

    serializer_class = RunColumnsSerializer
    pagination_class = None

    @extend_schema(parameters=NARROWING_PARAMETERS, responses=RunColumnsSerializer)
    def get(self, request):
        runs = self.filter_queryset(self.get_queryset()).select_related(None).order_by()
        maps = {name: Cast(name, TextField()) for name in ("summary", "config", "tags")}
        texts = {f"{name}_text": expression for name, expression in maps.items()}
        found = Gathered()
        for row in runs.annotate(**texts).values_list(*texts).iterator(chunk_size=2000):
            found.add(*row)
        return Response(found.told())


class Gathered:
    def __init__(self) -> None:
        self.count = 0
        self.metrics: Counter[str] = Counter()
        self.tags: Counter[str] = Counter()
        self.settings: dict[str, Counter[str]] = {}

    def add(self, summary: str, config: str, tags: str) -> None:
        self.count += 1
        self.metrics.update(msgspec.json.decode(summary).keys())
        if tags != "[]":
            self.tags.update(map(str, msgspec.json.decode(tags)))
        for path, value in settings_of(config):
            values = self.settings.get(path)
            if values is None:
                if len(self.settings) >= MAX_NAMES:
                    continue
                values = self.settings[path] = Counter()
            values[value[:200]] += 1

    def told(self) -> dict[str, Any]:
        return {
            "count": self.count,
            # Of too many those that most runs have: `val/loss` is not left out for a thousand layers before it.
            "metrics": [named(*each) for each in sorted(self.metrics.most_common(MAX_NAMES))],
            "settings": [self.setting(path) for path in sorted(self.settings)],
            "tags": [named(*each) for each in self.tags.most_common(MAX_NAMES)],
        }

    def setting(self, path: str) -> dict[str, Any]:
        values = self.settings[path]
        runs = values.total()
        commonest = [value for value, _ in values.most_common(MAX_VALUES)]
        return {
            "path": path,
            "runs": runs,
            "differs": len(values) > 1 or runs < self.count,
            "values": commonest,
        }


def named(name: str, runs: int) -> dict[str, Any]:
    return {"name": name, "runs": runs}
