"""A run's series over HTTP: which keys there are, charts and logs."""

from typing import Any

import msgspec
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api import columns
from monitoring.api.filters import known_query
from monitoring.api.pages import whole
from monitoring.api.strict import Number, StrictSerializer, Text, Whole
from monitoring.live import open_lines
from monitoring.models import Node
from monitoring.plain import plain
from monitoring.storage import log_search, logs, moments, series
from scaleweb_sdk.protocol import MAX_KEY_LENGTH
from training import access
from training.models import Role, Run

from .permissions import ProjectRole

MAX_SOURCES, MAX_KEYS = 100, 200
MAX_LINES = 5000


def viewed(request: Any, code: str) -> Run:
    return access.fetch(Run.objects.all(), request.user, Role.VIEWER, code=code)


class KeyInfoSerializer(serializers.Serializer):
    key = serializers.CharField()
    points = serializers.IntegerField()
    first_step = serializers.IntegerField(allow_null=True)
    last_step = serializers.IntegerField(allow_null=True)
    last_value = serializers.FloatField(allow_null=True, help_text='Or "NaN", "Infinity", "-Infinity".')
    last_time = serializers.FloatField(allow_null=True, help_text="Seconds since the epoch.")
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    non_finite = serializers.IntegerField()


class KeysPage(serializers.Serializer):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = KeyInfoSerializer(many=True)


KEY_FIELDS = [
    "key", "points", "first_step", "last_step", "last_value", "last_time", "low", "high", "non_finite",
]  # fmt: skip


class Keys(APIView):
    """Every key a run has logged, with figures over all its points."""

    permission_classes = [ProjectRole]

    @extend_schema(responses=KeysPage)
    def get(self, request, code: str):
        found = series.keys(viewed(request, code).source)
        return Response(whole([{name: plain(getattr(info, name)) for name in KEY_FIELDS} for info in found]))


class ReadSerializer(StrictSerializer):
    """Sources and keys of a chart, and the range of its x-axis."""

    sources = serializers.ListField(child=Text(max_length=200), allow_empty=False, max_length=MAX_SOURCES)
    keys = serializers.ListField(
        child=Text(max_length=MAX_KEY_LENGTH, trim_whitespace=False), allow_empty=False, max_length=MAX_KEYS
    )
    width = Whole(min_value=10, max_value=10_000, required=False, default=1000)
    x = Text(
        max_length=MAX_KEY_LENGTH,
        required=False,
        default="step",
        help_text="step, relative_step, time, relative or a key.",
    )
    start = Number(required=False, allow_null=True, default=None)
    end = Number(required=False, allow_null=True, default=None)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        start, end = data["start"], data["end"]
        if start is not None and end is not None and start > end:
            raise ValidationError({"start": [f"start={start} is after end={end}."]})
        return data


class ColumnsSerializer(serializers.Serializer):
    x = serializers.ListField(child=serializers.FloatField())
    step = serializers.ListField(child=serializers.IntegerField())
    time = serializers.ListField(child=serializers.FloatField())
    min = serializers.ListField(child=serializers.FloatField(allow_null=True))
    max = serializers.ListField(child=serializers.FloatField(allow_null=True))
    mean = serializers.ListField(child=serializers.FloatField(allow_null=True))
    last = serializers.ListField(
        child=serializers.JSONField(help_text="A number, or a non-finite one's name.")
    )
    count = serializers.ListField(child=serializers.IntegerField())


class NonFiniteSerializer(serializers.Serializer):
    step = serializers.IntegerField()
    x = serializers.FloatField()
    kind = serializers.ChoiceField(choices=["NaN", "Infinity", "-Infinity"])


class BucketsSerializer(serializers.Serializer):
    source = serializers.CharField()
    key = serializers.CharField()
    branch = serializers.IntegerField()
    faded = serializers.BooleanField()
    x = serializers.CharField()
    bucket = serializers.IntegerField(help_text="Steps in a bucket, a power of two.")
    exact = serializers.BooleanField(help_text="Each bucket is one point.")
    aged = serializers.BooleanField(help_text="Points of the range gave way to roll-ups.")
    columns = ColumnsSerializer()
    non_finite = NonFiniteSerializer(many=True)


class ReadAnswer(serializers.Serializer):
    series = BucketsSerializer(many=True)


class ColumnsRenderer(BaseRenderer):
    """Makes the type negotiable; `Read` writes the body itself."""

    media_type = columns.MEDIA_TYPE
    format = "columns"


class Read(APIView):
    """Charts of several sources at once. A run needs a role in its project; a node needs a login."""

    permission_classes = [ProjectRole]
    write_role = Role.VIEWER
    renderer_classes = [JSONRenderer, ColumnsRenderer]

    @extend_schema(
        request=ReadSerializer,
        responses={
            (200, "application/json"): ReadAnswer,
            (200, columns.MEDIA_TYPE): OpenApiTypes.BINARY,
        },
    )
    def post(self, request):
        wanted = ReadSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        data = wanted.validated_data
        sources = list(dict.fromkeys(data.pop("sources")))
        keys = list(dict.fromkeys(data.pop("keys")))
        branches = readable(sources, request.user)
        found = [
            buckets
            for source in sources
            for buckets in series.read(source, keys, branches=branches[source], **data)
        ]
        if isinstance(request.accepted_renderer, ColumnsRenderer):
            return HttpResponse(columns.encode(found), content_type=columns.MEDIA_TYPE)
        # A chart's columns are long: msgspec writes them twenty times faster than the renderer would.
        body = msgspec.json.encode({"series": [buckets.as_map() for buckets in found]})
        return HttpResponse(body, content_type="application/json")

    def finalize_response(self, request, response, *args, **kwargs):
        # What a serializer or an error says is JSON, whatever was asked for.
        if hasattr(request, "accepted_renderer"):
            request.accepted_renderer, request.accepted_media_type = JSONRenderer(), "application/json"
        return super().finalize_response(request, response, *args, **kwargs)


def readable(sources: list[str], user: Any) -> dict[str, list[dict]]:
    """The branches of each source that the user may read. Raises NotFound for the first that is not there."""
    codes = [source.removeprefix("run:") for source in sources if source.startswith("run:")]
    names = [source.removeprefix("node:") for source in sources if source.startswith("node:")]
    runs = access.visible(Run.objects.filter(code__in=codes), user) if codes else Run.objects.none()
    allowed: dict[str, list[dict]] = {
        f"run:{run.code}": run.branches for run in runs.only("code", "branches")
    }
    if names:
        for name in Node.objects.filter(name__in=names).values_list("name", flat=True):
            allowed[f"node:{name}"] = []
    for source in sources:
        if source not in allowed:
            raise NotFound(
                f"there is no source {source[:80]!r} that you can see; expected run:<code> or node:<name>"
            )
    return allowed


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
