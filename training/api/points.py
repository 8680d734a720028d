"""Points over plain HTTP, for languages without an SDK."""

import time
import uuid
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.strict import kind_of
from monitoring.plain import number
from monitoring.storage import series
from scaleweb_sdk.protocol import MAX_KEY_LENGTH, MAX_KEYS_PER_RUN, MAX_STEP, Batch, Column
from training import access, states
from training.link.frames import note_range
from training.metrics import HTTP_POINTS
from training.models import Role, Run
from training.states import RunState

from .permissions import ProjectRole

MAX_POINTS = 100_000
MAX_ERRORS = 20
NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
NEEDED = {"key", "step", "value"}
# A sender's clock may be off, but a time outside these years is milliseconds or nonsense.
EARLIEST, LATEST = 0.0, 4_102_444_800.0


class PointSerializer(serializers.Serializer):
    """For the schema alone: a body of 100,000 points is checked by `columns`, forty times faster."""

    key = serializers.CharField(max_length=MAX_KEY_LENGTH)
    step = serializers.IntegerField(min_value=0, max_value=MAX_STEP)
    value = serializers.FloatField(help_text='A number, or "NaN", "Infinity", "-Infinity".')
    time = serializers.FloatField(required=False, help_text="Seconds since the epoch; now when left out.")


class PointsSerializer(serializers.Serializer):
    points = PointSerializer(many=True)


class StoredSerializer(serializers.Serializer):
    stored = serializers.IntegerField()


class Points(APIView):
    """Store points of a run; all of them or, when one is wrong, none. Answers after they are durable."""

    permission_classes = [ProjectRole]

    @extend_schema(request=PointsSerializer, responses={201: StoredSerializer})
    def post(self, request, code: str):
        run = access.fetch(Run.objects.all(), request.user, Role.OPERATOR, code=code)
        points = listed(request.data)
        found = columns(points, time.time())
        check_keys(run, found)
        # A session of its own: a script without the SDK has no numbered batches to send again.
        series.append(
            run.source, f"http-{uuid.uuid4().hex}", [Batch(seq=1, branch=branch_of(run), columns=found)]
        )
        try:
            note(run, found, request.user.get_username())
        except Run.DoesNotExist:
            series.delete(run.source)  # deleted meanwhile: nothing would ever find these points
            raise
        HTTP_POINTS.inc(len(points))
        return Response({"stored": len(points)}, status=status.HTTP_201_CREATED)


def check_keys(run: Run, found: list[Column]) -> None:
    """The link's own limit. Raises ValidationError."""
    keys = {info.key for info in series.keys(run.source)}
    new = [column.key for column in found if column.key not in keys]
    if new and len(keys) + len(new) > MAX_KEYS_PER_RUN:
        raise ValidationError(
            {
                "points": [
                    f"{new[-1][:80]!r} would be key {len(keys) + len(new)}; a run has at most {MAX_KEYS_PER_RUN}."
                ]
            }
        )


def branch_of(run: Run) -> int:
    return max((int(branch.get("index", 0)) for branch in run.branches), default=0)


def listed(data: Any) -> list[Any]:
    if not isinstance(data, dict):
        raise ValidationError({"points": [f'Expected {{"points": […]}}, got {kind_of(data)}.']})
    unknown = sorted(set(data) - {"points"})
    if unknown:
        raise ValidationError({unknown[0][:80]: ["Unknown field; this takes points."]})
    points = data.get("points")
    if not isinstance(points, list) or not points:
        raise ValidationError({"points": [f"Expected a list of at least one point, got {kind_of(points)}."]})
    if len(points) > MAX_POINTS:
        raise ValidationError({"points": [f"{len(points)} points; at most {MAX_POINTS} fit in one request."]})
    return points


def columns(points: list[Any], now: float) -> list[Column]:
    """The points as columns by key, in the order given. Raises ValidationError with up to 20 wrong points."""
    found: dict[str, Column] = {}
    wrong: dict[str, list[str]] = {}
    for index, point in enumerate(points):
        error = fault(point)
        if error:
            wrong[f"points[{index}]{error[0]}"] = [error[1]]
            if len(wrong) == MAX_ERRORS:
                break
            continue
        column = found.get(point["key"])
        if column is None:
            column = found[point["key"]] = Column(point["key"], [], [], [])
        column.steps.append(int(point["step"]))
        column.times.append(float(point.get("time", now)))
        value = point["value"]
        column.values.append(NON_FINITE[value] if isinstance(value, str) else float(value))
    if wrong:
        raise ValidationError(wrong)
    return list(found.values())


def fault(point: Any) -> tuple[str, str] | None:
    """What is wrong with a point: the field and the sentence, or None."""
    if not isinstance(point, dict):
        return "", f"Expected an object with key, step and value, got {kind_of(point)}."
    missing = NEEDED - point.keys()
    if missing:
        return f".{min(missing)}", "This field is required."
    if len(point) > 3 and point.keys() - NEEDED != {"time"}:
        extra = sorted(point.keys() - NEEDED - {"time"})[0]
        return f".{extra[:80]}", "Unknown field; a point takes key, step, value and time."
    key, step, value = point["key"], point["step"], point["value"]
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY_LENGTH:
        return ".key", f"Expected text of 1 to {MAX_KEY_LENGTH} characters, got {kind_of(key)}."
    if any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in key):
        return ".key", "Expected text without control characters."
    whole = isinstance(step, int) or (isinstance(step, float) and step.is_integer())
    if isinstance(step, bool) or not whole or not 0 <= step <= MAX_STEP:
        return ".step", f"Expected a whole number in 0..2^53, got {kind_of(step)}."
    if isinstance(value, str):
        if value not in NON_FINITE:
            return ".value", f'Expected a number, "NaN", "Infinity" or "-Infinity", got {kind_of(value)}.'
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return ".value", f"Expected a number, got {kind_of(value)}."
    moment = point.get("time", 0)
    if isinstance(moment, bool) or not isinstance(moment, int | float) or not EARLIEST <= moment <= LATEST:
        return ".time", f"Expected seconds since the epoch, got {kind_of(moment)}."
    return None


def note(run: Run, found: list[Column], who: str) -> None:
    """Keep the run's own figures, and its state: points mean that it runs."""
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run.pk)
        run.last_seen_at = timezone.now()
        run.last_step = max(run.last_step or 0, *(max(column.steps) for column in found))
        run.summary |= {column.key: number(column.values[-1]) for column in found}
        for column in found:
            note_range(column.key, np.asarray(column.values, float), run.lows, run.highs)
        run.save(update_fields=["last_seen_at", "last_step", "summary", "lows", "highs"])
        waits = run.state == RunState.QUEUED and not hasattr(run, "job")
        if waits or run.state == RunState.LOST:
            states.move(run, RunState.RUNNING, "points came over HTTP", actor=who)
