"""What belongs to a run: tunables, commands, checkpoints and events."""

from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.response import Response

from monitoring.api.pages import KeySetPages
from training import access, commands
from training.models import Checkpoint, Command, Role, Run, RunEvent, Tunable

from .permissions import ProjectRole
from .run_serializers import (
    CheckpointSerializer,
    CommandSerializer,
    NewCommandSerializer,
    RunEventSerializer,
    TunableSerializer,
)


class OldestFirst(KeySetPages):
    ordering = "id"


class RunPart(generics.ListAPIView):
    """A list of what belongs to one run; viewer on the run's project."""

    permission_classes = [ProjectRole]

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()
        run = access.fetch(Run.objects.all(), self.request.user, Role.VIEWER, code=self.kwargs["code"])
        return self.queryset.filter(run=run)


class Tunables(RunPart):
    """Settings that the run declared can change while it runs, with bounds, scale and current value."""

    queryset = Tunable.objects.all()
    serializer_class = TunableSerializer
    pagination_class = OldestFirst


class Checkpoints(RunPart):
    """Saved states of a run, newest first; those not `available` are gone from their disk."""

    queryset = Checkpoint.objects.all()
    serializer_class = CheckpointSerializer


class Events(RunPart):
    """What befell a run, newest first: state changes, reflexes, errors, resumptions."""

    queryset = RunEvent.objects.all()
    serializer_class = RunEventSerializer


class Commands(RunPart):
    """Changes asked of a run and their fate, newest first."""

    queryset = Command.objects.all()
    serializer_class = CommandSerializer

    @extend_schema(request=NewCommandSerializer, responses={201: CommandSerializer})
    def post(self, request, code: str):
        """Ask the run's process for a change; it is applied at its next step boundary.

        400 names the field and the bounds; 409 says that the run cannot take commands now.
        """
        run = access.fetch(Run.objects.all(), request.user, Role.OPERATOR, code=code)
        wanted = NewCommandSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        command = commands.issue(
            run,
            asked_by=request.user.get_username(),
            user=request.user,
            by_person=True,
            **wanted.validated_data,
        )
        return Response(CommandSerializer(command).data, status=status.HTTP_201_CREATED)
