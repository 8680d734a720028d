"""The controller of an experiment, the decisions on a run, and the replay of one."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from control import actions
from control.models import ChangeEffect, ControllerSettings, Decision
from control.replay import UnknownPolicy, replay
from monitoring.api.strict import Nothing
from training import access
from training.api.permissions import ProjectRole
from training.models import Experiment, Role, Run

from .serializers import (
    ControllerChange,
    ControllerSerializer,
    DecisionSerializer,
    EffectSerializer,
    Reason,
    ReplayAnswer,
    ReplayWanted,
)

DECISIONS = Decision.objects.select_related("run", "command", "undo_command", "decided_by")


class Controller(APIView):
    """What the controller may do in an experiment, with which policies, within which guards."""

    permission_classes = [ProjectRole]

    @extend_schema(responses=ControllerSerializer)
    def get(self, request: Any, pk: int) -> Response:
        experiment = access.fetch(Experiment.objects.all(), request.user, Role.VIEWER, pk=pk)
        return Response(ControllerSerializer(settings_of(experiment)).data)

    @extend_schema(request=ControllerChange, responses=ControllerSerializer)
    def patch(self, request: Any, pk: int) -> Response:
        """Change the mode, policies' parameters or guards; 400 names the figure and what it must be."""
        experiment = access.fetch(Experiment.objects.all(), request.user, Role.OPERATOR, pk=pk)
        settings = settings_of(experiment)
        wanted = ControllerChange(data=request.data, context={"settings": settings})
        wanted.is_valid(raise_exception=True)
        fields = wanted.validated_data | {"changed_by": request.user}
        settings, _ = ControllerSettings.objects.update_or_create(experiment=experiment, defaults=fields)
        return Response(ControllerSerializer(settings).data)


def settings_of(experiment: Experiment) -> ControllerSettings:
    """The experiment's settings; unsaved ones, with the controller off, where nobody has set any."""
    found = ControllerSettings.objects.select_related("changed_by").filter(experiment=experiment).first()
    return found or ControllerSettings(experiment=experiment)


class Decisions(generics.ListAPIView):
    """What the controller decided on a run, newest first."""

    permission_classes = [ProjectRole]
    queryset = DECISIONS
    serializer_class = DecisionSerializer

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return DECISIONS.none()
        run = access.fetch(Run.objects.all(), self.request.user, Role.VIEWER, code=self.kwargs["code"])
        return DECISIONS.filter(run=run)


class Effects(generics.ListAPIView):
    """What came of the settings that people changed in a run, newest first, as decisions are judged."""

    permission_classes = [ProjectRole]
    queryset = ChangeEffect.objects.select_related("command")
    serializer_class = EffectSerializer

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        run = access.fetch(Run.objects.all(), self.request.user, Role.VIEWER, code=self.kwargs["code"])
        return super().get_queryset().filter(run=run)


class Answer(APIView):
    """A person's word on a decision. 409 says why it comes too late."""

    permission_classes = [ProjectRole]
    answer: Callable[[Decision, Any], Decision]

    @extend_schema(request=Nothing, responses=DecisionSerializer)
    def post(self, request: Any, pk: int) -> Response:
        decision = access.fetch(DECISIONS, request.user, Role.OPERATOR, pk=pk)
        Nothing(data=request.data).is_valid(raise_exception=True)
        return Response(DecisionSerializer(type(self).answer(decision, request.user)).data)


class Approve(Answer):
    """Let an advised change go ahead."""

    answer = staticmethod(actions.approve)


class Reject(APIView):
    """Refuse an advised change, with a reason if there is one."""

    permission_classes = [ProjectRole]

    @extend_schema(request=Reason, responses=DecisionSerializer)
    def post(self, request: Any, pk: int) -> Response:
        """409 says why it comes too late. The policy keeps quiet about the same for a while."""
        decision = access.fetch(DECISIONS, request.user, Role.OPERATOR, pk=pk)
        wanted = Reason(data=request.data)
        wanted.is_valid(raise_exception=True)
        told = actions.reject(decision, request.user, wanted.validated_data["reason"])
        return Response(DecisionSerializer(told).data)


class Reopen(Answer):
    """Take a person's refusal back: the proposal waits for an answer again, while what it rests on still holds."""

    answer = staticmethod(actions.reopen)


class Undo(Answer):
    """Take a change in force back: its settings return to the values they had."""

    answer = staticmethod(actions.undo)


class Replay(APIView):
    """What the policies would have decided over the run as it was stored. Changes nothing."""

    permission_classes = [ProjectRole]

    @extend_schema(request=ReplayWanted, responses=ReplayAnswer)
    def post(self, request: Any, code: str) -> Response:
        # It only reads, so a viewer may.
        run = access.fetch(
            Run.objects.select_related("experiment__controller"), request.user, Role.VIEWER, code=code
        )
        wanted = ReplayWanted(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            result = replay(run, wanted.validated_data.get("policies"))
        except UnknownPolicy as error:
            raise ValidationError({"policies": [str(error)]}) from None
        return Response(result.__dict__)
