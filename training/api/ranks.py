"""The processes of a run: where each one is, its pace, and which of them the others wait for."""

import math
from typing import Any

import numpy as np
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.models import Device
from monitoring.storage import series
from training import access, stragglers
from training.models import Rank, Role, Run

from .permissions import ProjectRole

STEPS = 50  # a rank's pace is the median of so many of its newest steps
STEP, APART = "_step_seconds", "_apart_seconds"


class RankSerializer(serializers.Serializer):
    rank = serializers.IntegerField()
    node = serializers.CharField(help_text="The node's name in a job, else the host's.")
    pid = serializers.IntegerField(allow_null=True)
    local_rank = serializers.IntegerField(allow_null=True)
    device = serializers.CharField(
        help_text="gpu0 and so on where it is one of the node's, else as told; cpu."
    )
    connected_at = serializers.DateTimeField()
    step_seconds = serializers.FloatField(allow_null=True, help_text="Median of its newest 50 steps.")
    apart_seconds = serializers.FloatField(
        allow_null=True,
        help_text="Of a step, before it meets the other ranks: waiting for data, forward pass.",
    )
    times_the_middle = serializers.FloatField(
        allow_null=True, help_text="apart_seconds over the middle of all ranks."
    )
    straggler = serializers.BooleanField(help_text="Whether the others wait for it.")


class RanksSerializer(serializers.Serializer):
    world_size = serializers.IntegerField()
    ranks = RankSerializer(many=True)
    sentence = serializers.CharField(
        allow_blank=True, help_text="Who holds up whom, in words; empty for nobody."
    )


class Ranks(APIView):
    """The ranks of a run of several processes, with their devices and pace; none for a run of one."""

    permission_classes = [ProjectRole]

    @extend_schema(responses=RanksSerializer)
    def get(self, request, code: str):
        run = access.fetch(Run.objects.all(), request.user, Role.VIEWER, code=code)
        return Response(RanksSerializer(told(run)).data)


def told(run: Run) -> dict[str, Any]:
    rows = list(run.ranks.all())
    names = {(row.rank, key): key_of(key, row.rank) for row in rows for key in (STEP, APART)}
    found = series.tail([run.source], list(names.values()), STEPS).get(run.source, {})
    pace = {place: median(found.get(name)) for place, name in names.items()}
    steps = [seconds for row in rows if (seconds := pace[row.rank, STEP]) is not None]
    step = float(np.median(steps)) if steps else None
    apart = {row.rank: seconds for row in rows if (seconds := pace[row.rank, APART]) is not None}
    slow = stragglers.stragglers(apart, step)
    middle = float(np.median(list(apart.values()))) if apart else 0.0
    placed = devices_of(run)
    ranks = [
        {
            "rank": row.rank, "pid": row.process.get("pid"), "local_rank": row.process.get("local_rank"),
            **where(row, placed), "connected_at": row.connected_at,
            "step_seconds": pace[row.rank, STEP], "apart_seconds": apart.get(row.rank),
            "times_the_middle": apart[row.rank] / middle if row.rank in apart and middle > 0 else None,
            "straggler": row.rank in slow,
        }
        for row in rows
    ]  # fmt: skip
    return {
        "world_size": max((row.world_size for row in rows), default=1), "ranks": ranks,
        "sentence": words(ranks, apart, slow, step),
    }  # fmt: skip


def key_of(key: str, rank: int) -> str:
    """The first rank's step time is the run's own."""
    return key if key == STEP and rank == 0 else f"{key}/rank{rank}"


def median(column: Any) -> float | None:
    if column is None:
        return None
    values = column[2][-STEPS:]
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else None


def devices_of(run: Run) -> list[Device]:
    job = getattr(run, "job", None)
    attempt = None if job is None else job.attempts.order_by("-number").first()
    return [] if attempt is None else list(attempt.devices.select_related("node"))


def where(row: Rank, devices: list[Device]) -> dict[str, str]:
    device, host = str(row.process.get("device") or ""), str(row.process.get("hostname") or "")
    for each in devices:
        same = device == each.uuid or (device == str(each.index) and each.node.hostname in {host, ""})
        if device and same and each.kind == Device.Kind.GPU:
            return {"node": each.node.name, "device": f"gpu{each.index}"}
    named = {each.node.name for each in devices if each.node.hostname == host}
    alone = {each.node.name for each in devices}
    names = named if len(named) == 1 else alone
    return {"node": next(iter(names)) if len(names) == 1 else host, "device": device}


def words(ranks: list[dict[str, Any]], apart: dict[int, float], slow: set[int], step: float | None) -> str:
    if not slow:
        return ""
    worst = max(slow, key=lambda rank: apart[rank])
    others = [seconds for rank, seconds in apart.items() if rank not in slow]
    waits = apart[worst] - float(np.median(others))
    at = next(one for one in ranks if one["rank"] == worst)
    share = f", {waits / step:.0%} of a step" if step and math.isfinite(waits / step) else ""
    place = f"{at['node']} {at['device']}".strip()
    return f"Rank {worst} on {place} holds the others up by {waits * 1000:.0f} ms{share}."
