"""Working copies: sent in pieces by who submits, fetched by the nodes."""

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import authentication
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from training import access
from training.copies import files, room
from training.media.files import NotWhatItSays, WrongPlace
from training.models import Project, Role, WorkingCopy

from .authentication import NodeSpeaker, NodeTokenAuthentication
from .media import Octets, PieceAnswer, place_of_piece
from .permissions import ProjectRole
from .streaming import streamed

READ_BYTES = 2**18


class Copy(APIView):
    """An archive (tar, gzip) under its SHA-256."""

    authentication_classes = [NodeTokenAuthentication, authentication.SessionAuthentication]
    permission_classes = [ProjectRole]
    parser_classes = [Octets]

    @extend_schema(responses={(200, "application/gzip"): OpenApiTypes.BINARY})
    def get(self, request, slug: str, sha256: str):
        """The bytes, for members of the project and for nodes."""
        rows = WorkingCopy.objects.select_related("project").filter(project__slug=slug)
        if isinstance(request.user, NodeSpeaker):
            copy = rows.filter(sha256=sha256).first()
            if copy is None:
                raise Http404("no such working copy")
        else:
            copy = access.fetch(rows, request.user, Role.VIEWER, sha256=sha256)
        try:
            file = open(files.path(copy.sha256), "rb")  # noqa: SIM115  closed by the answer's generator
        except FileNotFoundError:
            raise Http404("its bytes are not on the server's disk any more") from None

        def pieces():
            with file:
                while piece := file.read(READ_BYTES):
                    yield piece

        response = streamed(request._request, pieces(), "application/gzip")
        response["Content-Length"] = str(copy.size_bytes)
        response["Content-Disposition"] = f'attachment; filename="{sha256[:12]}.tar.gz"'
        return response

    @extend_schema(
        parameters=[
            OpenApiParameter("offset", int, required=True, description="Where the piece begins."),
            OpenApiParameter("size", int, required=True, description="Bytes of the whole archive."),
        ],
        request=OpenApiTypes.BINARY,
        responses=PieceAnswer,
    )
    def put(self, request, slug: str, sha256: str):
        """A piece of it, at most 4 MiB. What the project has is not asked for again."""
        project = access.fetch(Project.objects.all(), request.user, Role.OPERATOR, slug=slug)
        offset, size = place_of_piece(request, sha256)
        if WorkingCopy.objects.filter(project=project, sha256=sha256).exists():
            return Response({"have": size, "whole": True})
        try:
            room.check(project, size)
            have = files.add(project, sha256, offset, size, request.data)
        except room.Refused as reason:
            raise ValidationError({"size": [str(reason)]}) from None
        except NotWhatItSays as error:
            raise ValidationError({"sha256": [str(error)]}) from None
        except WrongPlace as error:
            return Response({"have": error.have, "whole": False})
        if have >= size:
            WorkingCopy.objects.get_or_create(
                project=project, sha256=sha256, defaults={"size_bytes": size, "created_by": request.user}
            )
        return Response({"have": have, "whole": have >= size})
