"""What belongs to a run: tunables, commands, checkpoints, events, and the marks on its charts."""

from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.pages import KeySetPages, whole
from training import access, commands
from training.models import Checkpoint, Command, Role, Run, RunEvent, Tunable

from .permissions import ProjectRole
from .run_serializers import (
    CheckpointSerializer,
    CommandSerializer,
    NewCommandSerializer,
    RunEventSerializer,
    TunableSerializer,
)

MAX_MARKS = 2000
MAX_RUNS = 100


class OldestFirst(KeySetPages):
    ordering = "id"


class RunPart(generics.ListAPIView):
    """A list of what belongs to one run; viewer on the run's project."""

    permission_classes = [ProjectRole]

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()
        run = access.fetch(Run.objects.all(), self.request.user, Role.VIEWER, code=self.kwargs["code"])
        return self.queryset.filter(run=run)


class Tunables(RunPart):
    """Settings that the run declared can change while it runs, with bounds, scale and current value."""

    queryset = Tunable.objects.all()
    serializer_class = TunableSerializer
    pagination_class = OldestFirst


class Checkpoints(RunPart):
    """Saved states of a run, newest first; those not `available` are gone from their disk."""

    queryset = Checkpoint.objects.all()
    serializer_class = CheckpointSerializer


class Events(RunPart):
    """What befell a run, newest first: state changes, reflexes, errors, resumptions."""

    queryset = RunEvent.objects.all()
    serializer_class = RunEventSerializer


class Commands(RunPart):
    """Changes asked of a run and their fate, newest first."""

    queryset = Command.objects.all()
    serializer_class = CommandSerializer

    @extend_schema(request=NewCommandSerializer, responses={201: CommandSerializer})
    def post(self, request, code: str):
        """Ask the run's process for a change; it is applied at its next step boundary.

        400 names the field and the bounds; 409 says that the run cannot take commands now.
        """
        run = access.fetch(Run.objects.all(), request.user, Role.OPERATOR, code=code)
        wanted = NewCommandSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        command = commands.issue(
            run,
            asked_by=request.user.get_username(),
            user=request.user,
            by_person=True,
            **wanted.validated_data,
        )
        return Response(CommandSerializer(command).data, status=status.HTTP_201_CREATED)


class MarkSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=["command", "decision", "checkpoint", "event", "alert"])
    id = serializers.IntegerField()
    step = serializers.IntegerField(allow_null=True)
    at = serializers.DateTimeField()
    label = serializers.CharField()
    tone = serializers.ChoiceField(choices=["neutral", "good", "bad", "warning"])
    run = serializers.CharField(required=False, help_text="The run's code, where several were asked for.")


class MarksPage(serializers.Serializer):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = MarkSerializer(many=True)


class Marks(APIView):
    """What happened to a run, as marks for its charts in order of time: the newest 2,000 of each kind."""

    permission_classes = [ProjectRole]

    @extend_schema(responses=MarksPage)
    def get(self, request, code: str):
        run = access.fetch(Run.objects.all(), request.user, Role.VIEWER, code=code)
        commands = list(run.commands.order_by("-seq")[:MAX_MARKS])
        # These relations come from the layers above.
        decisions = list(run.decisions.select_related("command").order_by("-id")[:MAX_MARKS])
        # What happened once has one mark: a decision stands for its command, and a roll back for what the process said
        # of the branch that it began.
        decided = {decision.command_id for decision in decisions}
        went_back = {each.applied_step for each in commands if each.verb == "rollback"} - {None}
        events = [
            event
            for event in run.events.order_by("-id")[:MAX_MARKS]
            if not (event.kind == "branch" and event.step in went_back)
        ]
        marks = [
            *(command_mark(command) for command in commands if command.pk not in decided),
            *map(checkpoint_mark, run.checkpoints.order_by("-id")[:MAX_MARKS]),
            *map(event_mark, events),
            *map(decision_mark, decisions),
            *map(alert_mark, run.alerts.select_related("rule").order_by("-id")[:MAX_MARKS]),
        ]
        marks.sort(key=lambda mark: mark["at"])
        return Response(whole(list(MarkSerializer(marks, many=True).data)))


class MarksOfRuns(APIView):
    """What changed several runs, for charts that draw them together: their commands, decisions and alerts, without
    what belongs to one run's page alone. In order of time, the newest 2,000 of each kind."""

    permission_classes = [ProjectRole]

    @extend_schema(
        parameters=[
            OpenApiParameter("runs", str, required=True, description="Codes, up to 100, with commas.")
        ],
        responses=MarksPage,
    )
    def get(self, request):
        runs = runs_named(request.query_params.get("runs", ""), request.user)
        changes = Command.objects.filter(run__in=runs, by_person=True).order_by("-id")[:MAX_MARKS]
        marks = [command_mark(each) | {"run": runs[each.run_id]} for each in changes]
        # The relation comes from the control layer above. What a guard refused, or was only written down,
        # changed nothing.
        decided = Run.decisions.rel.related_model.objects.filter(run__in=runs)
        decided = decided.exclude(state__in=("recorded", "blocked", "rejected", "expired", "proposed"))
        decided = decided.select_related("command")
        marks += [
            decision_mark(each) | {"run": runs[each.run_id]} for each in decided.order_by("-id")[:MAX_MARKS]
        ]
        fired = Run.alerts.rel.related_model.objects.filter(run__in=runs).select_related("rule")
        marks += [alert_mark(each) | {"run": runs[each.run_id]} for each in fired.order_by("-id")[:MAX_MARKS]]
        marks.sort(key=lambda mark: mark["at"])
        return Response(whole(list(MarkSerializer(marks, many=True).data)))


def runs_named(text: str, user: Any) -> dict[int, str]:
    """{id: code} of a list of codes with commas. Raises ValidationError, or Http404 naming what cannot be seen."""
    codes = list(dict.fromkeys(code.strip() for code in text.split(",") if code.strip()))
    if not 1 <= len(codes) <= MAX_RUNS or "\0" in text:
        raise ValidationError(
            {"runs": [f"expected 1 to {MAX_RUNS} codes of runs with commas between them, got {len(codes)}"]}
        )
    found = dict(access.visible(Run.objects.filter(code__in=codes), user).values_list("pk", "code"))
    missing = sorted(set(codes) - set(found.values()))
    if missing:
        raise Http404(f"no such run: {', '.join(missing)[:200]}")
    return found


def command_mark(command: Command) -> dict[str, Any]:
    tones = {"applied": "neutral", "rejected": "bad", "expired": "warning", "superseded": "warning"}
    label = f"{command.verb} {command.tunable}".strip()
    if command.verb == "set":
        label = f"{command.tunable}: {brief(command.old_value)} → {brief(command.new_value)}"
        if command.state != "applied":
            label = f"{command.tunable} → {brief(command.value)} ({command.state})"
    elif command.verb == "rollback" and isinstance(command.value, dict):
        label = f"roll back to step {command.value.get('step')}"
    elif command.verb == "adopt" and isinstance(command.value, dict):
        label = f"take over step {command.value.get('step')} of {command.value.get('run')}"
    return {
        "kind": "command",
        "id": command.pk,
        "step": command.applied_step,
        "at": command.applied_at or command.created_at,
        "label": f"{label}, by {command.asked_by}",
        "tone": tones.get(command.state, "neutral"),
    }


def decision_mark(decision: Any) -> dict[str, Any]:
    tones = {"better": "good", "worse": "bad"}
    verdict = f": {decision.verdict}" if decision.verdict else ""
    # Where it took effect, if it did.
    applied = decision.command.applied_step if decision.command_id else None
    return {
        "kind": "decision",
        "id": decision.pk,
        "step": decision.decided_step if applied is None else applied,
        "at": decision.created_at,
        "label": f"{decision.policy} ({decision.state}{verdict}): {decision.reason}"[:300],
        "tone": tones.get(decision.verdict, "neutral"),
    }


def alert_mark(alert: Any) -> dict[str, Any]:
    return {
        "kind": "alert",
        "id": alert.pk,
        "step": alert.step,
        "at": alert.started_at,
        "label": f"{alert.rule.name}: {alert.message}"[:300],
        "tone": {"critical": "bad", "warning": "warning"}.get(alert.rule.severity, "neutral"),
    }


def checkpoint_mark(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "kind": "checkpoint",
        "id": checkpoint.pk,
        "step": checkpoint.step,
        "at": checkpoint.created_at,
        "label": f"checkpoint at step {checkpoint.step}" + ("" if checkpoint.available else " (deleted)"),
        "tone": "neutral",
    }


def event_mark(event: RunEvent) -> dict[str, Any]:
    tone = {"error": "bad", "reflex": "warning"}.get(event.kind, "neutral")
    if event.kind == "state":
        tone = {"failed": "bad", "lost": "bad", "finished": "good"}.get(event.new, tone)
    change = f"{event.old} → {event.new}" if event.old and event.new else event.new
    words = [event.kind if event.kind != "state" else "", change, event.reason]
    return {
        "kind": "event",
        "id": event.pk,
        "step": event.step,
        "at": event.at,
        "label": " ".join(word for word in words if word)[:300] or event.kind,
        "tone": tone,
    }


def brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:60]
