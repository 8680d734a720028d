"""How many devices are a project's own."""

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.strict import StrictSerializer, Whole
from monitoring.models import Device
from training import access
from training.jobs import submit
from training.models import DeviceLease, Project, Quota, Role
from training.quotas import beyond

from .permissions import ProjectRole

MOST = 100_000


class QuotaSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=Device.Kind.choices)
    devices = serializers.IntegerField(help_text="Its own: given back to it when it asks.")
    borrow = serializers.IntegerField(
        allow_null=True, help_text="How many more it may have while they are idle; null: any number."
    )
    used = serializers.IntegerField(help_text="What it holds now, borrowed ones included.")
    beyond = serializers.CharField(
        help_text="In words, what is promised beyond the devices that exist; empty where it is there."
    )


class ProjectQuota(serializers.Serializer):
    quotas = QuotaSerializer(many=True)


class NewQuota(StrictSerializer):
    kind = serializers.ChoiceField(choices=Device.Kind.choices)
    devices = Whole(min_value=0, max_value=MOST)
    borrow = Whole(min_value=0, max_value=MOST, required=False, allow_null=True, default=None)


class QuotaKind(StrictSerializer):
    kind = serializers.ChoiceField(choices=Device.Kind.choices)


class Quotas(APIView):
    """A project's quotas, one for each kind of device. Only a site administrator changes them."""

    permission_classes = [ProjectRole]

    def answer(self, project: Project) -> Response:
        rows = project.quotas.order_by("kind")
        return Response({"quotas": [told(quota) for quota in rows]})

    @extend_schema(responses=ProjectQuota)
    def get(self, request, slug: str):
        """What is the project's own, and what it uses."""
        return self.answer(access.fetch(Project.objects.all(), request.user, Role.VIEWER, slug=slug))

    @extend_schema(request=NewQuota, responses=ProjectQuota)
    def put(self, request, slug: str):
        """Set one quota; the next tick places by it, and asks borrowed devices back where it has to."""
        project = self.administered(request, slug)
        wanted = NewQuota(data=request.data)
        wanted.is_valid(raise_exception=True)
        data = wanted.validated_data
        Quota.objects.update_or_create(
            project=project,
            kind=data["kind"],
            defaults={"devices": data["devices"], "borrow": data.get("borrow")},
        )
        transaction.on_commit(submit.hurry)
        return self.answer(project)

    @extend_schema(request=QuotaKind, responses=ProjectQuota)
    def delete(self, request, slug: str):
        """Take one away: the project lives on what is idle, as much as there is."""
        project = self.administered(request, slug)
        wanted = QuotaKind(data=request.data)
        wanted.is_valid(raise_exception=True)
        Quota.objects.filter(project=project, kind=wanted.validated_data["kind"]).delete()
        return self.answer(project)

    def administered(self, request, slug: str) -> Project:
        if not request.user.is_superuser:
            raise PermissionDenied(
                "this needs a site administrator: a quota is taken from what others may use"
            )
        return access.fetch(Project.objects.all(), request.user, Role.ADMIN, slug=slug)


def told(quota: Quota) -> dict[str, object]:
    used = DeviceLease.objects.filter(
        attempt__job__run__experiment__project=quota.project_id, device__kind=quota.kind
    )
    return {
        "kind": quota.kind, "devices": quota.devices, "borrow": quota.borrow, "used": used.count(),
        "beyond": beyond(quota),
    }  # fmt: skip
