"""What a run wrote: its log page by page, where something stands in it, and what was written when."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.filters import known_query
from monitoring.live import open_lines
from monitoring.storage import log_search, logs, moments

from .permissions import ProjectRole
from .series import viewed

MAX_LINES = 5000

PAGE_OF_LOG = [
    OpenApiParameter("start", int, description="First line; negative counts from the end. Default -500."),
    OpenApiParameter("count", int, description=f"How many lines, 1 to {MAX_LINES}. Default 500."),
    OpenApiParameter("search", str, description="Only lines that contain this text."),
]


class LogQuery(serializers.Serializer):
    start = serializers.IntegerField(min_value=-(2**53), max_value=2**53, required=False, default=None)
    count = serializers.IntegerField(min_value=1, max_value=MAX_LINES, required=False, default=500)
    search = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class OpenLinesSerializer(serializers.Serializer):
    sender = serializers.CharField(help_text="The process, or the part of a job, that writes them.")
    whose = serializers.CharField(
        help_text='"rank 0" or a node\'s name, of a run of several processes or nodes; empty of one alone.'
    )
    lines = serializers.ListField(child=serializers.ListField())


class LogPageSerializer(serializers.Serializer):
    first_line = serializers.IntegerField()
    total = serializers.IntegerField()
    lines = serializers.ListField(
        child=serializers.ListField(), help_text="[seconds since the epoch, stdout or stderr, text]"
    )
    open_lines = OpenLinesSerializer(
        many=True,
        help_text="What is being written, such as a progress bar; with the last page of a run that goes on.",
    )


class Logs(APIView):
    """A page of what the run's process wrote."""

    permission_classes = [ProjectRole]

    @extend_schema(parameters=PAGE_OF_LOG, responses=LogPageSerializer)
    def get(self, request, code: str):
        run = viewed(request, code)
        source = run.source
        wanted = LogQuery(data=known_query(request, "start", "count", "search"))
        wanted.is_valid(raise_exception=True)
        data = wanted.validated_data
        start = -data["count"] if data["start"] is None else data["start"]
        page = logs.read(source, start=start, count=data["count"], search=data["search"])
        lines = [[line[0], line[1], line[2]] for line in page.lines]
        last = page.first_line + len(lines) >= page.total and not data["search"]
        standing = open_lines.standing(source) if last and run.ended_at is None else []
        told = [{name: each[name] for name in ("sender", "whose", "lines")} for each in standing]
        answer = {"first_line": page.first_line, "total": page.total, "lines": lines, "open_lines": told}
        return Response(answer)


class HitsQuery(serializers.Serializer):
    search = serializers.CharField(
        max_length=500, required=False, allow_blank=True, trim_whitespace=False, default=""
    )
    level = serializers.ChoiceField(choices=["", *log_search.LEVELS], required=False, default="")
    before = serializers.IntegerField(min_value=0, max_value=2**53, required=False, default=None)
    count = serializers.IntegerField(min_value=1, max_value=MAX_LINES, required=False, default=1000)


class HitsSerializer(serializers.Serializer):
    total = serializers.IntegerField(help_text="Lines of the whole log.")
    hits = serializers.ListField(
        child=serializers.ListField(), help_text="[number, seconds since the epoch, stream, text]"
    )
    before = serializers.IntegerField(allow_null=True, help_text="Where to look on; null: all was looked at.")


class LogHits(APIView):
    """The newest lines that contain a text or are of a level, with their numbers; older ones by `before`."""

    permission_classes = [ProjectRole]

    @extend_schema(
        parameters=[
            OpenApiParameter("search", str, description="Text that they contain, whatever its case."),
            OpenApiParameter("level", str, enum=list(log_search.LEVELS), description="This level or above."),
            OpenApiParameter("before", int, description="Only lines before this number."),
            OpenApiParameter(
                "count", int, description=f"The most to answer with, 1 to {MAX_LINES}. Default 1000."
            ),
        ],
        responses=HitsSerializer,
    )
    def get(self, request, code: str):
        source = viewed(request, code).source
        wanted = HitsQuery(data=known_query(request, "search", "level", "before", "count"))
        wanted.is_valid(raise_exception=True)
        data = wanted.validated_data
        found = log_search.find(
            source, data["search"], data["level"], before=data["before"], count=data["count"]
        )
        return Response({"total": found.total, "hits": found.lines, "before": found.before})


class PlaceQuery(serializers.Serializer):
    time = serializers.FloatField(min_value=0, max_value=4_102_444_800, required=False)
    step = serializers.IntegerField(min_value=0, max_value=2**53, required=False)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if len(data) != 1:
            raise ValidationError({"step": ["Expected either `step` or `time`."]})
        return data


class PlaceSerializer(serializers.Serializer):
    line = serializers.IntegerField()
    step = serializers.IntegerField(allow_null=True)
    time = serializers.FloatField(allow_null=True)


class LogPlace(APIView):
    """From a step, or a time, to the other and to the first line that was written then."""

    permission_classes = [ProjectRole]

    @extend_schema(
        parameters=[
            OpenApiParameter("step", int), OpenApiParameter("time", float, description="Seconds since the epoch.")
        ],
        responses=PlaceSerializer,
    )  # fmt: skip
    def get(self, request, code: str):
        source = viewed(request, code).source
        wanted = PlaceQuery(data=known_query(request, "step", "time"))
        wanted.is_valid(raise_exception=True)
        data = wanted.validated_data
        found = (
            moments.time_at(source, data["step"]) if "step" in data else moments.step_at(source, data["time"])
        )
        moment = data.get("time", found[1] if found else None)
        line = log_search.line_at(source, moment) if moment is not None else 0
        return Response({"line": line, "step": found[0] if found else None, "time": moment})
