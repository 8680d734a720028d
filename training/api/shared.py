"""What a link shows without an account: one view of one experiment, to look at and nothing else.

The token comes in the Authorization header (the page keeps it behind the # of its address, which no server or log
sees) and opens these addresses alone: no other looks for it. The view says which runs, in which order and columns; the
caller cannot ask for others, so that nothing can be found out by asking. Settings that are no column of the view,
notes, people, processes, logs and commands are never told.
"""

import json
from typing import Any

import msgspec
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import authentication, exceptions, generics, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from monitoring.api import columns as wire
from monitoring.api.filters import known_query
from monitoring.api.strict import JsonMap
from monitoring.storage import series
from training.models import Run, ViewLink

from .narrowed import narrow
from .run_columns import Column, choice, column
from .run_groups import RunGroupsSerializer, groups_told
from .run_serializers import RunSerializer
from .series import ColumnsRenderer, ReadAnswer, ReadSerializer
from .sorting import RunPagination

MAX_SHOWN_COLUMNS = 60
MAX_CODES = 500
# What of a run's own fields a view may show; whose it is and what its process told are not among them.
FIELDS = ("name", "state", "silent", "last_step", "created_at", "started_at", "ended_at", "tags")
SHOWN = {*FIELDS, "last_seen_at", "duration", "cost", "device_seconds", "energy_joules"}
FAMILIES = ("metric", "min", "max", "config")


class LinkToken(authentication.BaseAuthentication):
    """`Authorization: Bearer sw_view_…`: nobody in particular, with one view to look at."""

    def authenticate(self, request):
        scheme, _, plain = request.headers.get("Authorization", "").partition(" ")
        link = ViewLink.find(plain.strip()) if scheme.lower() == "bearer" else None
        if link is None:
            raise exceptions.AuthenticationFailed(
                "This link shows nothing any more: it ended, was taken back, or its view was deleted. "
                "Ask whoever sent it for a new one."
            )
        link.note_use()
        return AnonymousUser(), link

    def authenticate_header(self, request) -> str:
        return "Bearer"


class LinkTokenScheme(OpenApiAuthenticationExtension):
    """How the schema names it; importing this module registers it."""

    target_class = LinkToken
    name = "viewLink"

    def get_security_definition(self, auto_schema) -> dict:
        return {"type": "http", "scheme": "bearer", "description": "The token of a link to a view: sw_view_…"}


class HasLink(BasePermission):
    def has_permission(self, request, view) -> bool:
        return isinstance(request.auth, ViewLink)


class Shown:
    """What the view of a link shows."""

    def __init__(self, link: ViewLink):
        self.view = link.view
        table = self.view.state.get("table")
        self.table: dict[str, Any] = table if isinstance(table, dict) else {}

    def texts(self, name: str) -> list[str]:
        found = self.table.get(name)
        return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []

    def columns(self) -> list[str]:
        looks = self.table.get("columns")
        names = (
            [look.get("id") for look in looks if isinstance(look, dict)] if isinstance(looks, list) else []
        )
        return [name for name in names[:MAX_SHOWN_COLUMNS] if isinstance(name, str) and may_show(name)]

    def runs(self) -> QuerySet[Run]:
        """Those that the table lists. Raises ValidationError for a filter that this version cannot read."""
        wanted, find = self.table.get("filter"), self.table.get("find")
        runs = Run.objects.filter(experiment=self.view.experiment_id)
        return narrow(runs, [], json.dumps(wanted) if wanted else "", find if isinstance(find, str) else "")

    def named(self) -> list[str]:
        """Codes of runs that are drawn, kept on top or compared with, whether the filter leaves them or not."""
        base = self.table.get("baseline")
        drawn = self.view.state.get("drawn")
        return [
            *(drawn if isinstance(drawn, list) else []),
            *self.texts("pinned"),
            *([base] if isinstance(base, str) else []),
        ]

    def readable(self) -> QuerySet[Run]:
        """Every run that it shows in any way."""
        runs = Run.objects.filter(experiment=self.view.experiment_id)
        return runs.filter(pk__in=self.runs().values("pk")) | runs.filter(code__in=self.named())

    def grouped_by(self) -> list[str]:
        return [name for name in self.texts("groups")[:5] if may_show(name) and is_column(name)]

    def group(self, text: str) -> QuerySet[Run]:
        """The runs of one of its groups, by the JSON list of the group's values. Raises ValidationError for none."""
        by = self.grouped_by()
        try:
            values = json.loads(text)
        except ValueError:
            values = None
        plain = isinstance(values, list) and all(
            isinstance(each, str | int | float | None) for each in values
        )
        if not by or not plain or len(values) != len(by):
            expected = (
                f"a JSON list of {len(by)} values, as shared/groups gives them"
                if by
                else "none: the view has no groups"
            )
            raise ValidationError({"group": [f"Expected {expected}."]})
        conditions = [
            each for name, value in zip(by, values, strict=True) for each in conditions_of(name, value)
        ]
        return narrow(self.runs(), [], json.dumps({"all": conditions}), "")

    def order(self) -> str:
        sort = self.table.get("sort")
        name = sort.removeprefix("-") if isinstance(sort, str) else ""
        return str(sort) if name and may_show(name) and is_column(name) else "-created_at"


def conditions_of(name: str, value: Any) -> list[dict[str, Any]]:
    """What the runs of a group have in common in one of its columns, as a filter says it."""
    if value is None:
        return [{"column": name, "operator": "missing"}]
    # A group of tags is those with all of them.
    values = [tag for tag in str(value).split(", ") if tag] if name == "tags" else [value]
    return [{"column": name, "operator": "=", "value": each} for each in values]


def may_show(name: str) -> bool:
    family, _, path = name.partition(":")
    return name in SHOWN or (family in FAMILIES and bool(path))


def is_column(name: str) -> bool:
    try:
        column(name)
    except ValueError:
        return False
    return True


class Linked:
    """Mixin for what a link opens."""

    authentication_classes = [LinkToken]
    permission_classes = [HasLink]
    queryset = Run.objects.none()
    filter_backends: list[Any] = []
    request: Any

    @property
    def shown(self) -> Shown:
        return Shown(self.request.auth)


class SharedViewSerializer(serializers.Serializer):
    name = serializers.CharField()
    experiment_name = serializers.CharField()
    goal_metric = serializers.CharField()
    goal_direction = serializers.ChoiceField(choices=["min", "max"])
    state = JsonMap()
    count = serializers.IntegerField(help_text="Runs that it lists.")
    expires_at = serializers.DateTimeField()


class SharedView(Linked, generics.GenericAPIView):
    """The view that a link shows, and how many runs it lists."""

    serializer_class = SharedViewSerializer

    @extend_schema(responses=SharedViewSerializer)
    def get(self, request):
        """The view that the link shows, and how many runs it lists."""
        known_query(request)
        view = self.shown.view
        told = {
            "name": view.name, "experiment_name": view.experiment.name, "goal_metric": view.experiment.goal_metric,
            "goal_direction": view.experiment.goal_direction, "state": view.state, "count": self.shown.runs().count(),
            "expires_at": request.auth.expires_at,
        }  # fmt: skip
        return Response(SharedViewSerializer(told).data)


class SharedPages(RunPagination):
    def sort_asked(self, request: Any) -> str:
        return Shown(request.auth).order()


class SharedRuns(Linked, generics.ListAPIView):
    """The runs that a link's view lists, in its order and its columns; with `code` those that it names, with `group`
    those of one of its groups."""

    serializer_class = RunSerializer
    pagination_class = SharedPages

    @extend_schema(
        parameters=[
            OpenApiParameter("code", str, description="Codes with commas, of runs that the view names."),
            OpenApiParameter("group", str, description="A group's `values` of shared/groups, as JSON."),
        ]
    )
    def get(self, request):
        """The runs that the link's view lists, in its order and its columns."""
        known_query(request, "code", "group", "limit", "cursor")
        return super().get(request)

    def get_queryset(self):
        asked, group = (self.request.query_params.get(name) for name in ("code", "group"))
        if group is not None:
            return self.shown.group(group)
        if asked is None:
            return self.shown.runs()
        codes = {code for code in asked.split(",")[:MAX_CODES] if "\x00" not in code}
        return self.shown.readable().filter(code__in=codes)

    def get_serializer_context(self):
        # The charts need every figure; of the settings only what the view shows goes out.
        wanted = [
            name for name in self.shown.columns() if not name.startswith("metric:") and name not in FIELDS
        ]
        chosen = choice([*FIELDS, "summary", *wanted], RunSerializer.Meta.fields)
        return super().get_serializer_context() | {"chosen": chosen}


class SharedGroups(Linked, generics.GenericAPIView):
    """The groups that a link's view makes, with their statistics."""

    serializer_class = RunGroupsSerializer

    @extend_schema(responses=RunGroupsSerializer)
    def get(self, request):
        """The groups that the link's view makes, with their statistics."""
        known_query(request)
        shown = self.shown
        by = [column(name) for name in shown.grouped_by()]
        measured: list[Column] = [column(name) for name in shown.columns() if is_column(name)]
        numbers = [
            each for each in measured if each.kind in {None, float} and not each.name.startswith("config:")
        ]
        sort = shown.order() if shown.order().removeprefix("-") in {each.name for each in numbers} else ""
        return Response(groups_told(shown.runs(), by, numbers[:20], sort))


class SharedSeries(Linked, generics.GenericAPIView):
    """Charts of the runs that a link's view shows."""

    serializer_class = ReadSerializer
    renderer_classes = [JSONRenderer, ColumnsRenderer]

    @extend_schema(
        request=ReadSerializer,
        responses={(200, "application/json"): ReadAnswer, (200, wire.MEDIA_TYPE): OpenApiTypes.BINARY},
    )
    def post(self, request):
        """Charts of the runs that the link's view shows, as `series/read` gives them."""
        wanted = ReadSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        data = wanted.validated_data
        sources, keys = (list(dict.fromkeys(data.pop(name))) for name in ("sources", "keys"))
        codes = [source.removeprefix("run:") for source in sources if source.startswith("run:")]
        branches = dict(self.shown.readable().filter(code__in=codes).values_list("code", "branches"))
        for source in sources:
            if source.removeprefix("run:") not in branches or not source.startswith("run:"):
                raise exceptions.NotFound(f"this link shows no source {source[:80]!r}")
        found = [
            buckets
            for source in sources
            for buckets in series.read(source, keys, branches=branches[source.removeprefix("run:")], **data)
        ]
        if isinstance(request.accepted_renderer, ColumnsRenderer):
            return HttpResponse(wire.encode(found), content_type=wire.MEDIA_TYPE)
        body = msgspec.json.encode({"series": [buckets.as_map() for buckets in found]})
        return HttpResponse(body, content_type="application/json")

    def finalize_response(self, request, response, *args, **kwargs):
        if hasattr(request, "accepted_renderer"):
            request.accepted_renderer, request.accepted_media_type = JSONRenderer(), "application/json"
        return super().finalize_response(request, response, *args, **kwargs)
