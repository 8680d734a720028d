"""A run's series over HTTP: which keys there are, and charts."""

from typing import Any

import msgspec
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api import columns
from monitoring.api.pages import whole
from monitoring.api.strict import Number, StrictSerializer, Text, Whole
from monitoring.models import Node
from monitoring.plain import plain
from monitoring.storage import series
from scaleweb_sdk.protocol import MAX_KEY_LENGTH
from training import access
from training.models import Role, Run

from .permissions import ProjectRole

MAX_SOURCES, MAX_KEYS = 100, 200


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
