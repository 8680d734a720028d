"""Nodes and their devices."""

import re
from typing import Any

import django_filters
from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.live.publish import publish_change
from monitoring.models import Device, Node

from .pages import KeySetPages
from .permissions import SiteAdmin
from .strict import Nothing, StrictSerializer, Text
from .whose import run_of, seen_by

MAX_LABELS = 100
LABEL_NAME = re.compile(r"[^\s=]{1,100}")
# Who holds a device is known a layer up; the relation's name is all that is needed of it here.
NODES = Node.objects.prefetch_related(
    Prefetch(
        "devices",
        Device.objects.filter(removed=False)
        .select_related("lease__attempt__job__run")
        .order_by("kind", "index"),
    )
)


class DeviceSerializer(serializers.ModelSerializer):
    busy = serializers.SerializerMethodField(help_text="Whether a run holds it.")
    busy_with = serializers.SerializerMethodField(
        help_text="The code of the run that holds it; null for none, or where you have no role in its project."
    )
    busy_with_name = serializers.SerializerMethodField(help_text="That run's name; null where its code is.")
    latest = serializers.DictField()
    processes = serializers.SerializerMethodField(
        help_text="[{pid, memory_used_bytes, user, command, started_at, run, run_name, hidden}]; run is null for a "
        "process of no live run of yours; hidden: it carries another code, and its user and command are not told."
    )

    class Meta:
        model = Device
        fields = [
            "kind", "index", "name", "uuid", "memory_total_bytes", "healthy", "health_reason", "latest",
            "processes", "busy", "busy_with", "busy_with_name",
        ]  # fmt: skip

    def get_busy(self, device: Device) -> bool:
        return getattr(device, "lease", None) is not None

    def get_busy_with(self, device: Device) -> str | None:
        lease = getattr(device, "lease", None)
        return self.told(lease.attempt.job.run.code) if lease else None

    def get_busy_with_name(self, device: Device) -> str | None:
        return device.lease.attempt.job.run.name if self.get_busy_with(device) else None

    def get_processes(self, device: Device) -> list[dict[str, Any]]:
        return [self.of_process(device, process) for process in device.processes]

    def of_process(self, device: Device, process: dict[str, Any]) -> dict[str, Any]:
        request = self.context.get("request")
        carried = process.get("run")
        run = self.told(carried)
        if not carried:
            run = run_of(request, device.node.hostname, process.get("pid"))
        hidden = bool(carried) and run is None
        about = {name: process.get(name) for name in ("pid", "memory_used_bytes")}
        told = {
            "user": str(process.get("user", "")), "command": str(process.get("command", "")),
            "started_at": process.get("started_at"),
        }  # fmt: skip
        if hidden:
            told |= {"user": "", "command": ""}
        return about | told | {"run": run, "run_name": seen_by(request).get(run or ""), "hidden": hidden}

    def told(self, code: str | None) -> str | None:
        return code if code and code in seen_by(self.context.get("request")) else None


class NodeSerializer(serializers.ModelSerializer):
    labels = serializers.DictField()
    system = serializers.DictField()
    latest = serializers.DictField()
    devices = DeviceSerializer(many=True)

    class Meta:
        model = Node
        fields = [
            "name", "hostname", "state", "cordoned", "draining", "passed_over_until", "passed_over_reason", "labels",
            "system", "latest", "last_seen_at", "devices",
        ]  # fmt: skip


class ByName(KeySetPages):
    ordering = "name"


class NodeFilter(django_filters.FilterSet):
    class Meta:
        model = Node
        fields = ["state", "cordoned", "draining"]


class Nodes(generics.ListAPIView):
    """Every node of the site, with its devices and latest readings."""

    permission_classes = [SiteAdmin]
    queryset = NODES
    serializer_class = NodeSerializer
    pagination_class = ByName
    filterset_class = NodeFilter


class NodeDetail(generics.RetrieveAPIView):
    """One node, with its devices and latest readings."""

    permission_classes = [SiteAdmin]
    queryset = NODES
    serializer_class = NodeSerializer

    def get_object(self) -> Node:
        return found(self.kwargs["name"])


def found(name: str) -> Node:
    node = None if "\x00" in name else NODES.filter(name=name).first()
    if node is None:
        raise NotFound(f"there is no node {name[:100]!r}")
    return node


class Cordon(APIView):
    """A cordoned node keeps what runs on it and takes nothing new. One that was draining moves nothing more."""

    permission_classes = [SiteAdmin]
    cordoned, draining = True, False

    @extend_schema(request=Nothing, responses=NodeSerializer)
    def post(self, request, name: str):
        Nothing(data=request.data).is_valid(raise_exception=True)
        open_or_close(found(name), self.cordoned, self.draining)
        return Response(NodeSerializer(found(name), context={"request": request}).data)


class Drain(Cordon):
    """A draining node takes nothing new, and what runs on it is asked to go on elsewhere from a checkpoint.

    Jobs that save none, or may not be asked (`preemptible`), stay to their end.
    """

    draining = True


class Uncordon(Cordon):
    """Let a node that is cordoned or draining take jobs again."""

    cordoned = False


class LabelsSerializer(StrictSerializer):
    labels = serializers.DictField(
        child=Text(max_length=200, allow_blank=True),
        help_text="All that the node has from then on: {name: text}. Jobs ask for them by name and value.",
    )

    def validate_labels(self, labels: dict[str, str]) -> dict[str, str]:
        if len(labels) > MAX_LABELS:
            raise serializers.ValidationError(f"{len(labels)} labels; at most {MAX_LABELS} are kept.")
        for name in labels:
            if not LABEL_NAME.fullmatch(name):
                raise serializers.ValidationError(
                    f"{name!r:.80} is no label's name; expected 1 to 100 characters without spaces or =."
                )
        return labels


class Labels(APIView):
    """What jobs can ask for of a node by name, such as zone=a."""

    permission_classes = [SiteAdmin]

    @extend_schema(request=LabelsSerializer, responses=NodeSerializer)
    def put(self, request, name: str):
        """Replaces them all. What runs there goes on; what waits is placed by them at the next tick."""
        node = found(name)
        wanted = LabelsSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        Node.objects.filter(pk=node.pk).update(labels=wanted.validated_data["labels"])
        for topic in (f"node:{node.name}", "fleet"):
            publish_change(topic, "node", {"name": node.name})
        return Response(NodeSerializer(found(name), context={"request": request}).data)


def open_or_close(node: Node, cordoned: bool, draining: bool) -> None:
    Node.objects.filter(pk=node.pk).update(cordoned=cordoned, draining=draining)
    for topic in (f"node:{node.name}", "fleet"):
        publish_change(topic, "node", {"name": node.name, "cordoned": cordoned, "draining": draining})
