"""What happened to runs, as marks for their charts."""

from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.pages import whole
from training import access
from training.models import Checkpoint, Command, Role, Run, RunEvent

from .clocks import TELL_OF_CLOCKS, clock_of
from .permissions import ProjectRole
from .told_once import told_by_others

MAX_MARKS = 2000
MAX_RUNS = 100


class MarkSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=["command", "decision", "checkpoint", "event", "alert"])
    id = serializers.IntegerField()
    step = serializers.IntegerField(allow_null=True)
    at = serializers.DateTimeField()
    label = serializers.CharField()
    tone = serializers.ChoiceField(choices=["neutral", "good", "bad", "warning"])
    clock_ahead_seconds = serializers.FloatField(
        help_text="Add it to `at` for the time by the clock of the run's process then, which its points have."
    )
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
        # What happened once has one mark: a decision stands for its commands, and a command for what it made happen.
        decided = {pk for each in decisions for pk in (each.command_id, *each.more_commands)}
        events = list(run.events.order_by("-id")[:MAX_MARKS])
        told, besides = told_by_others(commands, events)
        marks = [
            *(command_mark(command) for command in commands if command.pk not in decided),
            *map(checkpoint_mark, run.checkpoints.order_by("-id")[:MAX_MARKS]),
            *(event_mark(event, besides.get(event.pk, "")) for event in events if event.pk not in told),
            *map(decision_mark, decisions),
            *map(alert_mark, run.alerts.select_related("rule").order_by("-id")[:MAX_MARKS]),
        ]
        clock = clock_of(run.events.filter(TELL_OF_CLOCKS))
        return answer([mark | {"clock_ahead_seconds": clock(mark["at"])} for mark in marks])


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
        noted: dict[str, list[RunEvent]] = {code: [] for code in runs.values()}
        for event in RunEvent.objects.filter(TELL_OF_CLOCKS, run__in=runs):
            noted[runs[event.run_id]].append(event)
        clocks = {code: clock_of(events) for code, events in noted.items()}
        return answer([mark | {"clock_ahead_seconds": clocks[mark["run"]](mark["at"])} for mark in marks])


def answer(marks: list[dict[str, Any]]) -> Response:
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
    why = f": {command.reason}" if command.reason else ""
    return {
        "kind": "command",
        "id": command.pk,
        "step": command.applied_step,
        "at": command.applied_at or command.created_at,
        "label": f"{label}, by {command.asked_by}{why}"[:300],
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


def event_mark(event: RunEvent, besides: str = "") -> dict[str, Any]:
    """besides: what the mark says of it, too, because another event of the same thing has no mark."""
    tone = {"error": "bad", "reflex": "warning"}.get(event.kind, "neutral")
    if event.kind == "state":
        tone = {"failed": "bad", "lost": "bad", "finished": "good"}.get(event.new, tone)
    change = f"{event.old} → {event.new}" if event.old and event.new else event.new
    words = [event.kind if event.kind != "state" else "", change, event.reason, besides and f"({besides})"]
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
