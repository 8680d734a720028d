"""Pinning a checkpoint: no keep rule removes it then."""

from typing import Any

from django.db import transaction
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response
from rest_framework.serializers import BooleanField
from rest_framework.views import APIView

from monitoring.api.strict import StrictSerializer
from training import access, commands
from training.models import Checkpoint, Role, Run
from training.states import IllegalMove, RunState

from .permissions import ProjectRole
from .run_serializers import CheckpointSerializer


class PinSerializer(StrictSerializer):
    pinned = BooleanField()


class Pin(APIView):
    """Keep a checkpoint whatever the run's keep rule says, or leave it to the rule again."""

    permission_classes = [ProjectRole]

    @extend_schema(request=PinSerializer, responses=CheckpointSerializer)
    def post(self, request: Any, code: str, pk: int) -> Response:
        """Takes effect at the process's next step boundary, or as the next one starts. 409: the file is gone."""
        run = access.fetch(Run.objects.all(), request.user, Role.OPERATOR, code=code)
        checkpoint = run.checkpoints.filter(pk=pk).first() if pk < 2**63 else None
        if checkpoint is None:
            raise Http404(f"run {run.code} has no checkpoint {pk}")
        wanted = PinSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        pinned = wanted.validated_data["pinned"]
        if not checkpoint.available:
            raise IllegalMove(
                f"the checkpoint of step {checkpoint.step} is gone: its file was removed or found broken"
            )
        with transaction.atomic():
            Checkpoint.objects.filter(pk=pk).update(pinned=pinned)
            if run.state in {RunState.RUNNING, RunState.PAUSED}:
                commands.issue(
                    run, "pin", value={"checkpoint": pk, "pinned": pinned}, asked_by=request.user.get_username(),
                    user=request.user,
                )  # fmt: skip
        checkpoint.refresh_from_db()
        return Response(CheckpointSerializer(checkpoint).data)
