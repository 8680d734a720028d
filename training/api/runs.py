"""Runs: list, create, change, delete, finish."""

from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.strict import StrictSerializer, Text
from training import access, states
from training.commands import expire_open
from training.deleting import delete_run
from training.models import ApiToken, Role, Run, TokenKind
from training.progress import ENDS
from training.states import RunState

from .narrowed import NARROWING, NARROWING_PARAMETERS, NarrowedRuns
from .permissions import ProjectRole, ProjectScoped
from .run_columns import KINDS_OF_COLUMN, Choice, choice
from .run_serializers import RUNS, NewRunAnswer, NewRunSerializer, RunSerializer
from .sorting import RunPagination

# What a list of many runs need not read when it shows other columns.
HEAVY_FIELDS = {
    "summary",
    "config",
    "process",
    "branches",
    "actions",
    "notes",
    "tags",
    "lows",
    "highs",
    "offers",
}
# What a row itself has, by the columns that it takes: a list of these alone reads no other table, and makes a quarter
# of the objects.
OWN_COLUMNS = {name: (name,) for name in HEAVY_FIELDS} | {
    "code": ("code",), "name": ("name",), "experiment": ("experiment_id",), "state": ("state",),
    "silent": ("state", "last_seen_at"), "created_at": ("created_at",), "started_at": ("started_at",),
    "ended_at": ("ended_at",), "last_seen_at": ("last_seen_at",), "last_step": ("last_step",),
    "parent_step": ("parent_step",), "usage": ("usage",),
    "progress": ("state", "last_step", "parent_step", "started_at", "last_seen_at", "config", "summary"),
}  # fmt: skip
LIST_PARAMETERS = [
    OpenApiParameter("sort", str, description=f"A column to sort by: {KINDS_OF_COLUMN}. With a minus, greatest first."),
    OpenApiParameter(
        "column", str, many=True, explode=True,
        description="Answer with the code and these alone: a field, `metric:KEY` (in `summary`), `min:KEY` "
        "(in `lows`), `max:KEY` (in `highs`) or `config:PATH` (in `config`, under its dotted path). May be given "
        "several times.",
    ),
    *NARROWING_PARAMETERS,
]  # fmt: skip


class Runs(NarrowedRuns, generics.ListCreateAPIView):
    """Runs of your projects, newest first: config, state, last figures, lineage."""

    serializer_class = RunSerializer
    query_parameters = ("sort", "column", *NARROWING)
    pagination_class = RunPagination

    @extend_schema(parameters=LIST_PARAMETERS)
    def get(self, request, *args, **kwargs):
        """Runs, newest first or in the order of any column, narrowed by conditions on any."""
        return super().get(request, *args, **kwargs)

    def filter_queryset(self, queryset):
        queryset = super().filter_queryset(queryset)
        chosen = self.chosen()
        if chosen is None:
            return queryset.prefetch_related(ENDS)
        if "progress" in chosen.fields:
            queryset = queryset.prefetch_related(ENDS)
        if chosen.fields <= OWN_COLUMNS.keys():
            columns = {column for field in chosen.fields for column in OWN_COLUMNS[field]}
            return queryset.select_related(None).only(*columns)
        read = chosen.fields | ({"config", "summary"} if "progress" in chosen.fields else set())
        return queryset.defer(*(HEAVY_FIELDS - read))

    def chosen(self) -> Choice | None:
        return choice(self.request.query_params.getlist("column"), RunSerializer.Meta.fields)

    def get_serializer(self, *args, **kwargs):
        if self.request.method == "GET":
            kwargs["context"] = self.get_serializer_context() | {"chosen": self.chosen()}
        return super().get_serializer(*args, **kwargs)

    @extend_schema(request=NewRunSerializer, responses={201: NewRunAnswer})
    def post(self, request):
        """Make a run and the token its process connects with.

        The token is in this answer alone: only its hash is kept. A `session` that asks again, since no answer
        reached it, gets the same run with another token, as long as no process has connected for it.
        """
        new = NewRunSerializer(data=request.data, context=self.get_serializer_context())
        new.is_valid(raise_exception=True)
        with transaction.atomic():
            run = new.save()
            _, plain = ApiToken.issue(TokenKind.RUN, run=run, name=f"run {run.code}")
        run.token = plain
        answer = NewRunAnswer(run, context=self.get_serializer_context())
        return Response(answer.data, status=status.HTTP_201_CREATED)


class RunDetail(ProjectScoped, generics.RetrieveUpdateDestroyAPIView):
    """One run. People change its name, notes and tags; the rest is what it told.

    Deleting a run deletes its series and logs too; checkpoint files stay on their disk.
    """

    queryset = RUNS
    serializer_class = RunSerializer
    lookup_field = lookup_url_kwarg = "code"
    http_method_names = ["get", "patch", "delete", "head", "options"]

    def perform_destroy(self, run: Run) -> None:
        delete_run(run)


class FinishSerializer(StrictSerializer):
    state = serializers.ChoiceField(choices=[RunState.FINISHED, RunState.FAILED, RunState.STOPPED])
    reason = Text(max_length=2000, required=False, allow_blank=True, default="")


class Finish(APIView):
    """End a run that was fed over HTTP. A run under a job is ended by its job: stop that instead."""

    permission_classes = [ProjectRole]

    @extend_schema(request=FinishSerializer, responses=RunSerializer)
    def post(self, request, code: str):
        run = access.fetch(RUNS, request.user, Role.OPERATOR, code=code)
        wanted = FinishSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        data: dict[str, Any] = wanted.validated_data
        job = getattr(run, "job", None)
        if job is not None and job.state in {"queued", "active"}:
            raise states.IllegalMove(f"run {run.code} is executed by job {job.code}; stop the job instead")
        if run.state == data["state"]:
            return Response(RunSerializer(run, context={"request": request}).data)
        if run.state == RunState.QUEUED and data["state"] == RunState.FINISHED:
            # Fed over HTTP without ever connecting: it ran, as its points show.
            states.move(run, RunState.RUNNING, "fed over HTTP", actor=request.user.get_username())
        if not states.move(run, data["state"], data["reason"], actor=request.user.get_username()):
            raise states.IllegalMove(f"run {run.code} became {run.state} just now; look again")
        expire_open(run, f"the run ended ({run.state}) before it was applied")
        return Response(RunSerializer(run, context={"request": request}).data)
