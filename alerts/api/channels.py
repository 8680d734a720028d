"""Channels: where alerts are told outside the site, whether they work, and what was sent."""

import secrets
from typing import Any

import django_filters
from django.conf import settings
from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.validators import validate_email
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import access
from alerts.models import Channel, Delivery
from alerts.sending import queue, webhook
from monitoring.api.strict import Name, Nothing, StrictModelSerializer, Switch, Text
from training.api.experiments import VisibleProject


class ChannelSerializer(StrictModelSerializer):
    project = VisibleProject(required=False, allow_null=True)
    name = Name(max_length=100)
    target = Name(max_length=1000)
    tell_resolved = Switch(required=False)
    created_by = Text(source="created_by.username", default=None, read_only=True, allow_null=True)

    class Meta:
        model = Channel
        fields = [
            "id", "project", "name", "kind", "target", "tell_resolved", "enabled", "created_by", "created_at",
        ]  # fmt: skip
        read_only_fields = ["created_at"]

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        has = lambda name: data.get(name, getattr(self.instance, name, None))  # noqa: E731
        if self.instance is not None and "project" in data and data["project"] != self.instance.project:
            raise ValidationError({"project": ["A channel stays where it is."]})
        access.check(self.context["request"].user, has("project"))
        if "target" in data or "kind" in data:
            check_target(has("kind") or "", has("target") or "")
        return data

    def to_representation(self, channel: Channel) -> dict[str, Any]:
        shown = super().to_representation(channel)
        user = self.context["request"].user
        if channel.project is None and not user.is_superuser:
            shown["target"] = ""  # an address of a chat's hook is a key to it
        return shown


def check_target(kind: str, target: str) -> None:
    if kind == Channel.Kind.MAIL:
        if not settings.MAIL_CONFIGURED:
            raise ValidationError(
                {
                    "kind": [
                        "This site has no mail server: an administrator sets SCALEWEB_MAIL_URL (docs/settings.md)."
                    ]
                }
            )
        try:
            validate_email(target)
        except DjangoValidationError:
            raise ValidationError({"target": [f"{target!r:.80} is no address of mail."]}) from None
        return
    try:
        _, host, port, _ = webhook.check(target)
        webhook.addresses_of(host, port)
    except webhook.Refused as error:
        raise ValidationError({"target": [f"{error}."]}) from None


class NewChannel(ChannelSerializer):
    secret = serializers.CharField(read_only=True, help_text="Signs each message; it is shown this once.")

    class Meta(ChannelSerializer.Meta):
        fields = [*ChannelSerializer.Meta.fields, "secret"]


class Channels(generics.ListCreateAPIView):
    """Where alerts are told. A webhook's secret is in the answer to its making, and never again."""

    permission_classes = [IsAuthenticated]
    queryset = Channel.objects.select_related("project", "created_by")
    serializer_class = ChannelSerializer

    def get_serializer_class(self) -> Any:
        return NewChannel if self.request.method == "POST" else ChannelSerializer

    def get_queryset(self) -> Any:
        return access.visible(super().get_queryset(), self.request.user)

    def perform_create(self, serializer: Any) -> None:
        serializer.save(created_by=self.request.user, secret=secrets.token_urlsafe(32))


class ChannelDetail(generics.RetrieveUpdateDestroyAPIView):
    """One channel."""

    permission_classes = [IsAuthenticated]
    queryset = Channel.objects.select_related("project", "created_by")
    serializer_class = ChannelSerializer
    http_method_names = ["get", "patch", "delete", "head", "options"]

    def get_queryset(self) -> Any:
        return access.visible(super().get_queryset(), self.request.user)

    def perform_destroy(self, channel: Channel) -> None:
        access.check(self.request.user, channel.project)
        channel.delete()


class DeliverySerializer(serializers.ModelSerializer):
    rule = serializers.CharField(source="body.rule.name", default=None, allow_null=True)
    count = serializers.IntegerField(source="body.count", default=0)

    class Meta:
        model = Delivery
        fields = [
            "id", "channel", "event", "rule", "count", "state", "tries", "next_at", "sent_at", "error", "created_at",
        ]  # fmt: skip


class TestChannel(APIView):
    """Send a message over it now that only says that it works; the answer tells how that went."""

    permission_classes = [IsAuthenticated]

    @extend_schema(request=Nothing, responses=DeliverySerializer)
    def post(self, request: Any, pk: int) -> Response:
        Nothing(data=request.data).is_valid(raise_exception=True)
        channel = access.fetch(Channel.objects.all(), request.user, pk)
        access.check(request.user, channel.project)
        return Response(DeliverySerializer(queue.test(channel, settings.PUBLIC_URL)).data, status.HTTP_200_OK)


class DeliveryFilter(django_filters.FilterSet):
    class Meta:
        model = Delivery
        fields = ["channel", "state"]


class Deliveries(generics.ListAPIView):
    """What was sent over the channels you may see, and what was not taken and why."""

    permission_classes = [IsAuthenticated]
    queryset = Delivery.objects.select_related("channel")
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilter

    def get_queryset(self) -> Any:
        return (
            super()
            .get_queryset()
            .filter(channel__in=access.visible(Channel.objects.all(), self.request.user))
        )
