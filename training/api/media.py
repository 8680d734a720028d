"""Media of runs: sent in pieces by their processes, listed and read by people."""

import itertools
import json
import math
from typing import Any

import django_filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import authentication, exceptions, serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.filters import known_query
from monitoring.api.pages import whole
from monitoring.api.strict import JsonMap, Name, Number, StrictSerializer, Text, Whole
from scaleweb_sdk.protocol import MAX_KEY_LENGTH, MAX_STEP
from training import access
from training.media import files, items
from training.models import Media, MediaKind, Role, Run

from .authentication import RunTokenAuthentication, Speaker
from .media_bytes import answer
from .permissions import ProjectRole
from .run_parts import RunPart

MAX_ITEMS = 200
MAX_BINS = 512
MAX_DATA_BYTES = 16 * 1024
MAX_HISTOGRAMS = 400
PIECE_BYTES = 4 * 2**20


class Sent:
    """Views that a run's process may use for its own run, and operators of its project."""

    authentication_classes = [RunTokenAuthentication, authentication.SessionAuthentication]

    def run_of(self, request: Any, code: str) -> Run:
        if isinstance(request.user, Speaker):
            if request.user.run.code != code:
                raise exceptions.NotFound("no such run, or not this token's")
            return request.user.run
        return access.fetch(Run.objects.all(), request.user, Role.OPERATOR, code=code)


class Octets(BaseParser):
    media_type = "application/octet-stream"

    def parse(self, stream, media_type=None, parser_context=None):
        return stream.read(PIECE_BYTES + 1)


class PieceQuery(serializers.Serializer):
    offset = serializers.IntegerField(min_value=0, max_value=2**53)
    size = serializers.IntegerField(min_value=0, max_value=2**53)


class PieceAnswer(serializers.Serializer):
    have = serializers.IntegerField(help_text="Bytes of the file that are here: send on from there.")
    whole = serializers.BooleanField()


def place_of_piece(request, sha256: str) -> tuple[int, int]:
    """(offset of the piece, size of the whole file), both in bytes; of a piece that can be one."""
    wanted = PieceQuery(data=known_query(request, "offset", "size"))
    wanted.is_valid(raise_exception=True)
    offset, size = wanted.validated_data["offset"], wanted.validated_data["size"]
    if not files.SHA256.fullmatch(sha256):
        raise ValidationError({"sha256": [f"Expected 64 hexadecimal digits, got {sha256[:80]!r}."]})
    if not isinstance(request.data, bytes):
        raise ValidationError({"body": ["Expected bytes, as application/octet-stream."]})
    if len(request.data) > PIECE_BYTES or offset + len(request.data) > size:
        raise ValidationError(
            {"body": [f"Expected at most {PIECE_BYTES} bytes, and no more than `size` says."]}
        )
    return offset, size


class Piece(Sent, APIView):
    """A piece of a file, at most 4 MiB, under the SHA-256 of the whole. A file that is here is not asked for again."""

    permission_classes = [ProjectRole]
    parser_classes = [Octets]

    @extend_schema(
        parameters=[
            OpenApiParameter("offset", int, required=True, description="Where the piece begins."),
            OpenApiParameter("size", int, required=True, description="Bytes of the whole file."),
        ],
        request=OpenApiTypes.BINARY,
        responses=PieceAnswer,
    )
    def put(self, request, code: str, sha256: str):
        run = self.run_of(request, code)
        offset, size = place_of_piece(request, sha256)
        try:
            if offset == 0:
                items.room_for(run, size)
            have = files.add(run.code, sha256, offset, size, request.data)
        except items.Refused as reason:
            raise ValidationError({"size": [str(reason)]}) from None
        except files.NotWhatItSays as error:
            raise ValidationError({"sha256": [str(error)]}) from None
        except files.WrongPlace as error:
            have = error.have
        return Response({"have": have, "whole": files.size(run.code, sha256) is not None})


class HistogramData(StrictSerializer):
    edges = serializers.ListField(child=Number(), min_length=2, max_length=MAX_BINS + 1)
    counts = serializers.ListField(child=Number(min_value=0), min_length=1, max_length=MAX_BINS)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        edges, counts = data["edges"], data["counts"]
        if len(edges) != len(counts) + 1:
            raise ValidationError(
                {
                    "edges": [
                        f"Expected {len(counts) + 1} edges around {len(counts)} counts, got {len(edges)}."
                    ]
                }
            )
        if not all(map(math.isfinite, edges + counts)) or any(a >= b for a, b in itertools.pairwise(edges)):
            raise ValidationError({"edges": ["Expected finite numbers in rising order."]})
        return data


class NewMediaSerializer(StrictSerializer):
    """An item whose bytes, if it has any, were sent before."""

    uid = Text(max_length=64, help_text="The sender's own name for it: what is sent twice is stored once.")
    key = Name(max_length=MAX_KEY_LENGTH, trim_whitespace=False)
    kind = serializers.ChoiceField(choices=MediaKind.choices)
    step = Whole(min_value=0, max_value=MAX_STEP)
    branch = Whole(min_value=0, max_value=2**31 - 1, required=False, default=0)
    place = Whole(min_value=0, max_value=9999, required=False, default=0)
    at = Number(min_value=0, max_value=4_102_444_800)
    caption = Text(max_length=500, required=False, allow_blank=True, default="")
    name = Name(max_length=200, required=False, allow_blank=True, default="")
    sha256 = Text(max_length=64, required=False, allow_blank=True, default="")
    data = JsonMap(required=False)

    def validate(self, item: dict[str, Any]) -> dict[str, Any]:
        data = item.setdefault("data", {})
        if item["kind"] == MediaKind.HISTOGRAM:
            inner = HistogramData(data=data)
            if not inner.is_valid():
                raise ValidationError({"data": [words for said in inner.errors.values() for words in said]})
            item["data"], item["sha256"] = dict(inner.validated_data), ""
        elif not files.SHA256.fullmatch(item["sha256"]):
            raise ValidationError(
                {"sha256": ["Expected the 64 hexadecimal digits of the bytes that were sent."]}
            )
        elif len(json.dumps(data)) > MAX_DATA_BYTES:
            raise ValidationError({"data": [f"Expected at most {MAX_DATA_BYTES} bytes of JSON."]})
        return item


class NewMediaList(StrictSerializer):
    items = serializers.ListField(child=NewMediaSerializer(), allow_empty=False, max_length=MAX_ITEMS)


class TakenSerializer(serializers.Serializer):
    taken = serializers.IntegerField()
    refused = serializers.DictField(child=serializers.CharField(), help_text="Why, by uid.")


class MediaSerializer(serializers.ModelSerializer):
    data = serializers.DictField(help_text="width and height, rows and columns, edges and counts.")

    class Meta:
        model = Media
        fields = [
            "id", "key", "kind", "step", "branch", "place", "at", "caption", "name", "size_bytes",
            "content_type", "data",
        ]  # fmt: skip


class MediaFilter(django_filters.FilterSet):
    key = django_filters.CharFilter(help_text="A key in full.")
    kind = django_filters.ChoiceFilter(choices=MediaKind.choices)
    step = django_filters.NumberFilter(min_value=0, max_value=2**53, decimal_places=0)

    class Meta:
        model = Media
        fields = ["key", "kind", "step"]


class MediaList(Sent, RunPart):
    """What a run logged beside figures, newest first."""

    queryset = Media.objects.all()
    serializer_class = MediaSerializer
    filterset_class = MediaFilter

    @extend_schema(request=NewMediaList, responses={201: TakenSerializer})
    def post(self, request, code: str):
        """Store items whose bytes were sent before. What cannot be kept is named, and the rest is stored."""
        run = self.run_of(request, code)
        wanted = NewMediaList(data=request.data)
        wanted.is_valid(raise_exception=True)
        found = wanted.validated_data["items"]
        refused = items.take(run, found)
        return Response(
            {"taken": len(found) - len(refused), "refused": refused}, status=status.HTTP_201_CREATED
        )


class MediaKeySerializer(serializers.Serializer):
    key = serializers.CharField()
    kind = serializers.ChoiceField(choices=MediaKind.choices)
    count = serializers.IntegerField()
    first_step = serializers.IntegerField()
    last_step = serializers.IntegerField()
    size_bytes = serializers.IntegerField()


class MediaKeysPage(serializers.Serializer):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = MediaKeySerializer(many=True)


def viewed(request: Any, code: str) -> Run:
    return access.fetch(Run.objects.all(), request.user, Role.VIEWER, code=code)


class MediaKeys(APIView):
    """What media a run has under each key."""

    permission_classes = [ProjectRole]

    @extend_schema(responses=MediaKeysPage)
    def get(self, request, code: str):
        known_query(request)
        return Response(whole(list(items.keys(viewed(request, code)))))


class HistogramsQuery(serializers.Serializer):
    key = serializers.CharField(max_length=MAX_KEY_LENGTH, trim_whitespace=False)
    width = serializers.IntegerField(min_value=1, max_value=MAX_HISTOGRAMS, required=False, default=200)


class HistogramSerializer(serializers.Serializer):
    step = serializers.IntegerField()
    branch = serializers.IntegerField()
    edges = serializers.ListField(child=serializers.FloatField())
    counts = serializers.ListField(child=serializers.FloatField())


class HistogramsAnswer(serializers.Serializer):
    total = serializers.IntegerField()
    histograms = HistogramSerializer(many=True)


class Histograms(APIView):
    """Histograms of a key over the steps, evenly chosen where there are more than `width`; the last is among them."""

    permission_classes = [ProjectRole]

    @extend_schema(
        parameters=[
            OpenApiParameter("key", str, required=True),
            OpenApiParameter("width", int, description=f"The most to answer with, 1 to {MAX_HISTOGRAMS}."),
        ],
        responses=HistogramsAnswer,
    )
    def get(self, request, code: str):
        run = viewed(request, code)
        wanted = HistogramsQuery(data=known_query(request, "key", "width"))
        wanted.is_valid(raise_exception=True)
        rows = run.media.filter(kind=MediaKind.HISTOGRAM, key=wanted.validated_data["key"])
        ids = list(rows.order_by("step", "id").values_list("pk", flat=True))
        count, width = len(ids), wanted.validated_data["width"]
        if count > width:
            ids = [ids[(place + 1) * count // width - 1] for place in range(width)]
        found = Media.objects.filter(pk__in=ids).order_by("step", "id").values_list("step", "branch", "data")
        return Response(
            {
                "total": count,
                "histograms": [{"step": step, "branch": branch, **data} for step, branch, data in found],
            }
        )


class MediaFile(APIView):
    """The bytes of an item, with ranges. Never as something that a browser would run in the site's name."""

    permission_classes = [ProjectRole]

    @extend_schema(
        parameters=[OpenApiParameter("download", bool, description="As a file to save, whatever it is.")],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request, code: str, pk: int):
        run = viewed(request, code)
        query = known_query(request, "download")
        row = run.media.filter(pk=pk).exclude(sha256="").first()
        if row is None:
            raise exceptions.NotFound("no such file of this run")
        return answer(request._request, run.code, row, query.get("download") in {"1", "true"})
