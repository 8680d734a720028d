"""The queue: what waits in its order, what runs, and which project uses what of what it has."""

from collections import defaultdict
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.strict import StrictSerializer, Text
from monitoring.models import Device, Node
from training import access
from training.jobs import moving, planning, queued, ticks
from training.jobs.devices import load_of
from training.jobs.turns import in_turn
from training.models import DeviceLease, Job, JobState, Project, Quota, Role

from .job_groups import GROUPS, JobGroupSerializer
from .jobs import JOBS, JobAction, JobSerializer
from .permissions import ProjectRole

MAX_QUEUE = 500


class PlaceInQueue(StrictSerializer):
    before = Text(
        max_length=16, required=False, help_text="Code of the waiting job that it comes right before."
    )
    behind = Text(max_length=16, required=False, help_text="Or of that which it comes right behind.")

    def validate(self, data: dict[str, str]) -> dict[str, str]:
        if len(data) != 1:
            raise serializers.ValidationError(
                {"before": ["Expected either before or behind, with a job's code."]}
            )
        return data


@extend_schema(request=PlaceInQueue, responses=JobSerializer)
class Move(JobAction):
    """Put a waiting job right before or behind another one; it takes that one's priority."""

    takes = PlaceInQueue

    def act(self, job, asked_by, before="", behind=""):
        neighbour = access.fetch(Job.objects.all(), self.request.user, Role.VIEWER, code=before or behind)
        moving.move(job, neighbour, bool(before))


class DeviceCount(serializers.Serializer):
    total = serializers.IntegerField()
    busy = serializers.IntegerField()


class ShareSerializer(serializers.Serializer):
    project = serializers.CharField(
        allow_null=True, help_text="Its slug; null for all projects together that are not yours to see."
    )
    kind = serializers.ChoiceField(choices=Device.Kind.choices)
    used = serializers.IntegerField(help_text="Devices that its jobs hold.")
    quota = serializers.IntegerField(help_text="Devices of its own.")
    borrow = serializers.IntegerField(
        allow_null=True, help_text="How many more it may have; null: any number."
    )
    waiting = serializers.IntegerField(help_text="Its jobs that wait for such devices.")
    utilisation_ratio = serializers.FloatField(
        allow_null=True, help_text="How much of what it holds was measured to be used, 0..1."
    )


class QueueSerializer(serializers.Serializer):
    waiting = JobSerializer(many=True)
    active = JobSerializer(many=True)
    groups = JobGroupSerializer(
        many=True, help_text="Grids and arrays of these jobs, with what became of all of theirs."
    )
    devices = DeviceCount()
    shares = ShareSerializer(many=True)
    stalled = serializers.CharField(
        help_text="Why nothing is placed and what to do, in a sentence, where the site's ticks are late; else empty."
    )


class Queue(APIView):
    """What waits, in the order in which it would start if all devices came free one by one, and what runs.

    Devices are counted for the whole site.
    """

    permission_classes = [ProjectRole]

    @extend_schema(responses=QueueSerializer)
    def get(self, request):
        jobs = access.visible(JOBS, request.user)
        rows = queued.waiting()
        order = in_turn(
            rows, planning.held_now(), planning.all_quotas(), planning.current_rules().ageing_seconds
        )
        seen = set(jobs.filter(state=JobState.QUEUED).values_list("pk", flat=True))
        # What waits for other jobs has no turn yet.
        held = jobs.filter(state=JobState.QUEUED, held=True).order_by("-priority", "id")
        waits = [*(pk for pk in order if pk in seen), *held.values_list("pk", flat=True)[:MAX_QUEUE]]
        first = list(dict.fromkeys(waits))[:MAX_QUEUE]
        found = jobs.in_bulk(first)
        active = list(jobs.filter(state=JobState.ACTIVE).order_by("-id")[:MAX_QUEUE])
        groups = {job.group_id for job in (*found.values(), *active)}
        return Response(
            {
                "waiting": JobSerializer([found[pk] for pk in first if pk in found], many=True).data,
                "active": JobSerializer(active, many=True).data,
                "groups": JobGroupSerializer(GROUPS.filter(pk__in=groups - {None}), many=True).data,
                "devices": device_count(),
                "shares": shares(request.user),
                "stalled": ticks.stalled(timezone.now()),
            }
        )


def device_count() -> dict[str, int]:
    """Devices of the nodes that are there, and those an attempt holds. A lost node's are nobody's to use."""
    devices = Device.objects.filter(removed=False).exclude(node__state=Node.State.LOST)
    return {"total": devices.count(), "busy": DeviceLease.objects.filter(device__in=devices).count()}


def shares(user: Any) -> list[dict[str, Any]]:
    """Who holds how many devices of each kind, against what is its own and what is measured."""
    slugs = dict(access.visible(Project.objects.all(), user).values_list("pk", "slug"))
    blank = {"used": 0, "quota": 0, "borrow": None, "waiting": 0, "loads": []}
    found: dict[tuple[str | None, str], dict[str, Any]] = defaultdict(lambda: {**blank, "loads": []})
    leases = DeviceLease.objects.values_list(
        "attempt__job__run__experiment__project_id", "device__kind", "device__latest", "device__node__latest"
    )
    for project, kind, latest, host in leases:
        share = found[slugs.get(project), kind]
        share["used"] += 1
        if latest.get("utilisation_ratio") is not None or kind == Device.Kind.CPU:
            share["loads"].append(load_of(kind, latest, host))
    for quota in Quota.objects.all():
        share = found[slugs.get(quota.project_id), quota.kind]
        share["quota"] += quota.devices
        share["borrow"] = quota.borrow if quota.project_id in slugs else None
    waiting = Job.objects.filter(state=JobState.QUEUED)
    for project, kind in waiting.values_list("run__experiment__project_id", "device_kind"):
        found[slugs.get(project), kind]["waiting"] += 1
    return [
        {
            "project": project,
            "kind": kind,
            **{name: value for name, value in share.items() if name != "loads"},
            "utilisation_ratio": sum(share["loads"]) / len(share["loads"]) if share["loads"] else None,
        }
        for (project, kind), share in sorted(
            found.items(), key=lambda item: (item[0][1], item[0][0] is None, item[0][0] or "")
        )
    ]
