"""What waits for the caller's answer."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.pages import whole
from monitoring.api.strict import JsonMap
from training.models import Role
from training.notices import Notice, waiting_for

from .roles import role_in


class NoticeSerializer(serializers.Serializer):
    kind = serializers.CharField(
        help_text="proposal, alert, later others: a page shows what it does not know by its text."
    )
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    title = serializers.CharField()
    text = serializers.CharField()
    run = serializers.CharField(allow_blank=True)
    run_name = serializers.CharField(allow_blank=True)
    experiment = serializers.IntegerField(allow_null=True)
    tone = serializers.ChoiceField(choices=["neutral", "warning", "bad"])
    can = serializers.SerializerMethodField(
        help_text="Your own role there: an operator may answer. Empty: only the site's administrator may."
    )
    data = JsonMap(help_text="What the kind tells of itself.")

    def get_can(self, notice: Notice) -> str:
        if notice.project is None:
            return Role.ADMIN if self.context["request"].user.is_superuser else ""
        return role_in(self.context["request"], notice.project)


class NoticePage(serializers.Serializer):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = NoticeSerializer(many=True)


class Notices(APIView):
    """What waits for an answer in the projects you see, newest first: proposals of the controller, alerts."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses=NoticePage)
    def get(self, request: Any) -> Response:
        found: Any = NoticeSerializer(waiting_for(request.user), many=True, context={"request": request}).data
        return Response(whole(list(found)))
