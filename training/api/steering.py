"""Beyond one command: several settings at once, schedules, taking back, and many runs together."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.strict import JsonMap, Nothing, Number, StrictSerializer, Text, Whole
from scaleweb_sdk.protocol import MAX_STEP
from training import access, bulk, changes, schedules
from training.models import Command, Role, Run, Schedule
from training.waiting import OPEN

from .permissions import ProjectRole
from .run_parts import RunPart
from .run_serializers import CommandSerializer

MOST_RUNS = 500


class Changes(StrictSerializer):
    settings = JsonMap(help_text="{tunable: value}; all are applied at one step boundary, or none.")
    at_step = Whole(min_value=0, max_value=MAX_STEP, required=False, allow_null=True, default=None)
    reason = Text(max_length=10_000, required=False, allow_blank=True, default="")
    key = Text(max_length=64, required=False, allow_blank=True, default="")


class TakeBack(StrictSerializer):
    key = Text(max_length=64, required=False, allow_blank=True, default="")


class ChangeSeveral(APIView):
    """Several settings of a run as one change."""

    permission_classes = [ProjectRole]

    @extend_schema(request=Changes, responses={201: CommandSerializer(many=True)})
    def post(self, request: Any, code: str) -> Response:
        """Ask for all of them: applied at one step boundary, all or none.

        400 names the setting and its bounds, as `settings.<name>`; then nothing was stored.
        """
        run = access.fetch(Run.objects.all(), request.user, Role.OPERATOR, code=code)
        wanted = Changes(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = dict(wanted.validated_data)
        made = changes.change_together(
            run, asked.pop("settings"), asked_by=request.user.get_username(), user=request.user, **asked
        )
        return Response(CommandSerializer(made, many=True).data, status=status.HTTP_201_CREATED)


class UndoChange(APIView):
    """Take back a change that was applied and still stands, with its group."""

    permission_classes = [ProjectRole]

    @extend_schema(request=TakeBack, responses={201: CommandSerializer(many=True)})
    def post(self, request: Any, code: str, seq: int) -> Response:
        """The settings return to the values that they had; 409 says why they cannot."""
        run = access.fetch(Run.objects.all(), request.user, Role.OPERATOR, code=code)
        wanted = TakeBack(data=request.data)
        wanted.is_valid(raise_exception=True)
        if not 0 < seq < 2**63 or not run.commands.filter(seq=seq).exists():
            raise Http404(f"the run has no command #{seq}")
        made = changes.take_back(
            run, seq, asked_by=request.user.get_username(), user=request.user, **wanted.validated_data
        )
        return Response(CommandSerializer(made, many=True).data, status=status.HTTP_201_CREATED)


class PlannedChange(serializers.Serializer):
    seq = serializers.IntegerField()
    at_step = serializers.IntegerField()
    value = serializers.JSONField()
    state = serializers.CharField()


class ScheduleSerializer(serializers.ModelSerializer):
    asked = JsonMap(read_only=True)
    state = serializers.SerializerMethodField(help_text="waiting, or ended: nothing of it waits any more.")
    changes = serializers.SerializerMethodField(help_text="In order of their steps, each with its fate.")

    class Meta:
        model = Schedule
        fields = [
            "id", "tunable", "shape", "asked", "asked_by", "reason", "created_at", "cancelled_at", "cancelled_by",
            "state", "changes",
        ]  # fmt: skip

    def get_state(self, schedule: Schedule) -> str:
        return "waiting" if any(command.state in OPEN for command in schedule.commands.all()) else "ended"

    @extend_schema_field(PlannedChange(many=True))
    def get_changes(self, schedule: Schedule) -> list[dict[str, Any]]:
        commands = sorted(schedule.commands.all(), key=lambda each: each.seq)
        return [{"seq": c.seq, "at_step": c.at_step, "value": c.value, "state": c.state} for c in commands]


class NewSchedule(StrictSerializer):
    tunable = Text(max_length=200)
    shape = Text(max_length=6)
    at_step = Whole(min_value=0, max_value=MAX_STEP)
    value = serializers.JSONField(required=False, allow_null=True, default=None)
    factor = Number(required=False, allow_null=True, default=None)
    every = Whole(min_value=1, max_value=MAX_STEP, required=False, allow_null=True, default=None)
    until_step = Whole(min_value=0, max_value=MAX_STEP, required=False, allow_null=True, default=None)
    until_value = Number(required=False, allow_null=True, default=None)
    reason = Text(max_length=10_000, required=False, allow_blank=True, default="")


class Schedules(RunPart):
    """What is planned for a run's settings at steps to come, newest first, with what has been applied of it."""

    queryset = Schedule.objects.prefetch_related("commands")
    serializer_class = ScheduleSerializer

    @extend_schema(request=NewSchedule, responses={201: ScheduleSerializer})
    def post(self, request: Any, code: str) -> Response:
        """Plan changes of a setting, in the place of what was planned for it before.

        once: `value` or `factor`. repeat: `factor` every so many steps, until a step or a value. cosine: to `value`
        until a step. The values are fixed now; who sets the setting by hand meanwhile ends the schedule. 400 names
        the field; 409 says that the run cannot take it now.
        """
        run = access.fetch(Run.objects.all(), request.user, Role.OPERATOR, code=code)
        wanted = NewSchedule(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = dict(wanted.validated_data)
        tunable, reason = asked.pop("tunable"), asked.pop("reason")
        name = request.user.get_username()
        made = schedules.plan(
            run, tunable, schedules.Asked(**asked), asked_by=name, user=request.user, reason=reason
        )
        return Response(ScheduleSerializer(made).data, status=status.HTTP_201_CREATED)


class CancelSchedule(APIView):
    """End what of a schedule has not been applied."""

    permission_classes = [ProjectRole]

    @extend_schema(request=Nothing, responses=ScheduleSerializer)
    def post(self, request: Any, pk: int) -> Response:
        schedule = access.fetch(Schedule.objects.all(), request.user, Role.OPERATOR, pk=pk)
        Nothing(data=request.data).is_valid(raise_exception=True)
        ended = schedules.cancel(schedule, asked_by=request.user.get_username(), user=request.user)
        return Response(ScheduleSerializer(ended).data)


class BulkCommand(StrictSerializer):
    """`value`, or for a number `factor`: times what it is in each run."""

    runs = serializers.ListField(child=Text(max_length=16), min_length=1, max_length=MOST_RUNS)
    verb = Text(max_length=12)
    tunable = Text(max_length=200, required=False, allow_blank=True, default="")
    value = serializers.JSONField(required=False, allow_null=True, default=None)
    factor = Number(required=False, allow_null=True, default=None)
    reason = Text(max_length=10_000, required=False, allow_blank=True, default="")
    key = Text(max_length=64, required=False, allow_blank=True, default="")


class BulkResult(serializers.Serializer):
    run = serializers.CharField()
    command = CommandSerializer(allow_null=True)
    problem = serializers.CharField(help_text="Why this run was not asked; empty where it was.")


class CommandRuns(APIView):
    """Ask the same of many runs."""

    permission_classes = [ProjectRole]

    @extend_schema(request=BulkCommand, responses=BulkResult(many=True))
    def post(self, request: Any) -> Response:
        """Each run is asked for itself, and one that cannot take it keeps no other from it: a result for each."""
        wanted = BulkCommand(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = dict(wanted.validated_data)
        results = []
        for code in dict.fromkeys(asked.pop("runs")):
            command, problem = one_run(request.user, code, asked)
            told = None if command is None else CommandSerializer(command).data
            results.append({"run": code, "command": told, "problem": problem})
        return Response(results)


def one_run(user: Any, code: str, asked: dict[str, Any]) -> tuple[Command | None, str]:
    try:
        run = access.fetch(Run.objects.all(), user, Role.OPERATOR, code=code)
        return bulk.ask(run, asked_by=user.get_username(), user=user, **asked), ""
    except (Http404, PermissionDenied, bulk.CommandRefused) as error:
        return None, str(error)
