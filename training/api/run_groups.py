"""Runs in groups of equal values, with the statistics of each, over all that match: loaded or not, drawn or not."""

import json
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from training.models import Run

from .narrowed import NARROWING, NARROWING_PARAMETERS, NarrowedRuns
from .run_columns import KINDS_OF_COLUMN, Column, column

MAX_BY, MAX_MEASURED, MAX_GROUPS = 5, 20, 1000
GROUP_PARAMETERS = [
    OpenApiParameter(
        "by", str, many=True, explode=True, required=True,
        description=f"A column whose equal values make a group: {KINDS_OF_COLUMN}. Up to {MAX_BY} times.",
    ),
    OpenApiParameter(
        "measure", str, many=True, explode=True,
        description=f"A column of numbers to make statistics of. Up to {MAX_MEASURED} times.",
    ),
    OpenApiParameter(
        "sort", str, description="`count`, or a measured column (by its mean); with a minus, greatest first.",
    ),
    *NARROWING_PARAMETERS,
]  # fmt: skip


class RunStatisticsSerializer(serializers.Serializer):
    count = serializers.IntegerField(help_text="Runs that have a finite value.")
    mean = serializers.FloatField(allow_null=True)
    deviation = serializers.FloatField(
        allow_null=True, help_text="Of the sample (n - 1); null under two values."
    )
    min = serializers.FloatField(allow_null=True)
    max = serializers.FloatField(allow_null=True)


class RunGroupSerializer(serializers.Serializer):
    values = serializers.ListField(
        child=serializers.JSONField(),
        help_text="In the order of `by`: a number, a text, or null where a run has none.",
    )
    count = serializers.IntegerField()
    live = serializers.IntegerField(help_text="How many of them go on.")
    statistics = serializers.DictField(child=RunStatisticsSerializer())


class RunGroupsSerializer(serializers.Serializer):
    by = serializers.ListField(child=serializers.CharField())
    total = serializers.IntegerField(help_text="Runs that match.")
    groups_total = serializers.IntegerField(help_text=f"Groups there are; at most {MAX_GROUPS} are answered.")
    groups = RunGroupSerializer(many=True)


@dataclass
class Found:
    """A group as it is gathered: `measured` holds a list of finite values for each measured column."""

    values: tuple[Any, ...]
    measured: list[list[float]]
    count: int = 0
    live: int = 0
    statistics: dict[str, dict[str, Any]] = field(default_factory=dict)


LIVE = {"starting", "running", "paused", "stopping"}


def gather(runs: QuerySet[Run], by: list[Column], measured: list[Column]) -> list[Found]:
    names: dict[str, Any] = {}
    for family, columns in (("by", by), ("of", measured)):
        for place, chosen in enumerate(columns):
            # Of what is measured, the number alone.
            kinds = chosen.values if family == "by" else chosen.values[:1]
            names |= {f"{family}_{place}_{kind}": value for kind, value in enumerate(kinds)}
    widths = [len(chosen.values) for chosen in by]
    groups: dict[tuple[Any, ...], Found] = {}
    rows = runs.select_related(None).annotate(**names).order_by().values_list("state", *names)
    for state, *row in rows.iterator(chunk_size=2000):
        at, values = 0, []
        for width, chosen in zip(widths, by, strict=True):
            values.append(plain_value(row[at : at + width], chosen))
            at += width
        key = tuple(values)
        group = groups.get(key)
        if group is None:
            group = groups[key] = Found(key, [[] for _ in measured])
        group.count += 1
        group.live += state in LIVE
        for into, value in zip(group.measured, row[at:], strict=True):
            if value is not None and math.isfinite(value):
                into.append(value)
    for group in groups.values():
        for chosen, numbers in zip(measured, group.measured, strict=True):
            group.statistics[chosen.name] = statistics_of(numbers)
    return list(groups.values())


def plain_value(kinds: list[Any], chosen: Column) -> Any:
    value = next((value for value in kinds if value is not None), None)
    if chosen.name == "tags" and value is not None:
        return ", ".join(sorted(json.loads(value)))
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value.isoformat() if isinstance(value, datetime) else value


def statistics_of(numbers: list[float]) -> dict[str, Any]:
    if not numbers:
        return {"count": 0, "mean": None, "deviation": None, "min": None, "max": None}
    array = np.asarray(numbers)
    # Of values near the limit of float64 a sum overflows: then there is no figure, and no warning.
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else None
    return {
        "count": len(array),
        "mean": mean if math.isfinite(mean) else None,
        "deviation": deviation if deviation is not None and math.isfinite(deviation) else None,
        "min": float(array.min()),
        "max": float(array.max()),
    }


def in_order(groups: list[Found], sort: str, measured: list[Column]) -> list[Found]:
    """Raises ValidationError. Without a sort by their values, numbers before text, none last."""
    name, sign = sort.removeprefix("-"), -1 if sort.startswith("-") else 1
    groups.sort(key=lambda group: [value_key(value) for value in group.values])
    if not name:
        return groups
    if name == "count":
        groups.sort(key=lambda group: sign * group.count)
        return groups
    if name not in {chosen.name for chosen in measured}:
        raise ValidationError(
            {"sort": [f"{name[:80]!r}: groups are sorted by count or by a column in `measure`."]}
        )

    def mean_key(group: Found) -> tuple[bool, float]:
        mean = group.statistics[name]["mean"]
        return (mean is None, 0.0 if mean is None else sign * mean)

    groups.sort(key=mean_key)
    return groups


def value_key(value: Any) -> tuple[int, float, str]:
    if value is None:
        return (2, 0.0, "")
    return (1, 0.0, value) if isinstance(value, str) else (0, value, "")


def groups_told(runs: QuerySet[Run], by: list[Column], measured: list[Column], sort: str) -> dict[str, Any]:
    """Raises ValidationError for a sort that is none."""
    groups = in_order(gather(runs, by, measured), sort, measured)
    return {
        "by": [each.name for each in by],
        "total": sum(group.count for group in groups),
        "groups_total": len(groups),
        "groups": [
            {"values": group.values, "count": group.count, "live": group.live, "statistics": group.statistics}
            for group in groups[:MAX_GROUPS]
        ],
    }


class RunGroups(NarrowedRuns, generics.GenericAPIView):
    """Groups of runs with equal values, and statistics of each, over all runs that match."""

    serializer_class = RunGroupsSerializer
    pagination_class = None
    query_parameters = ("by", "measure", "sort", *NARROWING)

    @extend_schema(parameters=GROUP_PARAMETERS, responses=RunGroupsSerializer)
    def get(self, request):
        by = self.columns("by", MAX_BY)
        measured = self.columns("measure", MAX_MEASURED)
        if not by:
            raise ValidationError({"by": [f"Expected a column to group by: {KINDS_OF_COLUMN}."]})
        runs = self.filter_queryset(self.get_queryset())
        return Response(groups_told(runs, by, measured, request.query_params.get("sort", "")))

    def columns(self, parameter: str, most: int) -> list[Column]:
        names = self.request.query_params.getlist(parameter)
        if len(names) > most:
            raise ValidationError({parameter: [f"{len(names)} columns; at most {most} are taken."]})
        try:
            found = [column(name) for name in dict.fromkeys(names)]
        except ValueError as error:
            raise ValidationError({parameter: [str(error)]}) from None
        wrong = [each.name for each in found if parameter == "measure" and each.kind not in {None, float}]
        if wrong:
            raise ValidationError({parameter: [f"{wrong[0]} is no number."]})
        return found
