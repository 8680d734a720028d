"""Every point of a run as a file that is streamed: JSON lines or CSV."""

import csv
import io
import itertools
import json
from collections.abc import Iterator

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.views import APIView

from monitoring.api.filters import known_query
from monitoring.plain import plain
from monitoring.storage import buckets, series

from .permissions import ProjectRole
from .series import viewed
from .streaming import streamed


class ExportQuery(serializers.Serializer):
    format = serializers.ChoiceField(choices=["jsonl", "csv"], required=False, default="jsonl")
    keys = serializers.CharField(max_length=60_000, required=False, allow_blank=True, default="")


EXPORT_COLUMNS = ("key", "branch", "step", "time", "value")
LINES_A_PIECE = 2000


class Export(APIView):
    """Every point of a run, streamed: one line a point, `key, branch, step, time, value`.

    NaN and infinities are the strings "NaN", "Infinity" and "-Infinity" in both forms.
    """

    permission_classes = [ProjectRole]

    @extend_schema(
        parameters=[
            OpenApiParameter("format", str, enum=["jsonl", "csv"]),
            OpenApiParameter("keys", str, description="Keys separated by commas; all when left out."),
        ],
        responses={(200, "application/jsonl"): OpenApiTypes.STR, (200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request, code: str):
        run = viewed(request, code)
        wanted = ExportQuery(data=known_query(request, "format", "keys"))
        wanted.is_valid(raise_exception=True)
        known = [info.key for info in series.keys(run.source)]
        keys = chosen_keys(wanted.validated_data["keys"], known)
        form = wanted.validated_data["format"]
        write = csv_pieces if form == "csv" else jsonl_pieces
        content_type = "text/csv" if form == "csv" else "application/jsonl"
        response = streamed(request._request, write(run.source, keys), content_type)
        response["Content-Disposition"] = f'attachment; filename="run-{run.code}.{form}"'
        return response


def chosen_keys(text: str, known: list[str]) -> list[str]:
    """The keys of a comma-separated list; a key with a comma in it is found whole first."""
    if not text:
        return known
    if text in known:
        return [text]
    keys = list(dict.fromkeys(text.split(",")))
    unknown = [key for key in keys if key not in known]
    if unknown:
        have = ", ".join(known[:20]) or "none"
        raise ValidationError({"keys": [f"The run has no key {unknown[0][:80]!r}; it has {have}."]})
    return keys


def rows(source: str, keys: list[str]) -> Iterator[list[tuple]]:
    """Points in pieces that fit in memory, whatever the length of a column."""
    for column in series.raw(source, keys):
        for first in range(0, len(column.steps), LINES_A_PIECE):
            part = slice(first, first + LINES_A_PIECE)
            steps, times = column.steps[part].tolist(), column.times[part].tolist()
            values = [plain(value) for value in column.values[part].tolist()]
            yield [(column.key, column.branch, *row) for row in zip(steps, times, values, strict=True)]


AGED_COLUMNS = (*EXPORT_COLUMNS, "count", "min", "max")


def aged_rows(source: str, keys: list[str]) -> Iterator[list[tuple]]:
    """Buckets where retention took the points: `value` is the mean of `count` points from `step` on."""
    for key, branch, rows in series.aged(source, keys):
        part = buckets.of_rows(source, key, branch, False, rows).as_map()["columns"]
        columns = [part[name] for name in ("step", "time", "mean", "count", "min", "max")]
        made = [(key, branch, *row) for row in zip(*columns, strict=True)]
        for first in range(0, len(made), LINES_A_PIECE):
            yield made[first : first + LINES_A_PIECE]


def jsonl_pieces(source: str, keys: list[str]) -> Iterator[str]:
    for piece in aged_rows(source, keys):
        lines = [json.dumps(dict(zip(AGED_COLUMNS, row, strict=True)), ensure_ascii=False) for row in piece]
        yield one_line_each("\n".join(lines)) + "\n"
    for piece in rows(source, keys):
        lines = [json.dumps(dict(zip(EXPORT_COLUMNS, row, strict=True)), ensure_ascii=False) for row in piece]
        yield one_line_each("\n".join(lines)) + "\n"


def one_line_each(text: str) -> str:
    """Escaped as JSON allows: these two end a line for Python, JavaScript and others that read by lines."""
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def csv_pieces(source: str, keys: list[str]) -> Iterator[str]:
    old = aged_rows(source, keys)
    first = next(old, None)
    # A run that has all its points has no use for the further columns.
    yield ",".join(EXPORT_COLUMNS if first is None else AGED_COLUMNS) + "\n"
    for piece in itertools.chain([] if first is None else [first], old, rows(source, keys)):
        page = io.StringIO()
        csv.writer(page, lineterminator="\n").writerows(piece)
        yield page.getvalue()
