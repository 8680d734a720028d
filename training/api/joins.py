"""Adding a host: tokens that administrators make, and the two questions that the new host asks with one."""

from datetime import timedelta

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema
from rest_framework import authentication, exceptions, generics, serializers, status
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.strict import Name, StrictSerializer, Whole
from training import joining
from training.models import ApiToken, TokenKind

ONE_HOUR = 60
ONE_WEEK = 7 * 24 * 60


class Administrator(IsAuthenticated):
    """To read too: the list tells whom the site lets in."""

    message = "this needs a site administrator"

    def has_permission(self, request, view) -> bool:
        return super().has_permission(request, view) and bool(request.user.is_superuser)


class InvitationSerializer(serializers.ModelSerializer):
    made_by = serializers.CharField(source="user.username", allow_null=True)

    class Meta:
        model = ApiToken
        fields = ["id", "name", "prefix", "made_by", "created_at", "expires_at"]


class InviteSerializer(StrictSerializer):
    name = Name(
        max_length=80, required=False, default="a host", help_text="For whom it is, to tell it apart."
    )
    expires_in_minutes = Whole(min_value=1, max_value=ONE_WEEK, required=False, default=ONE_HOUR)


class InviteAnswer(InvitationSerializer):
    """The token itself is in this answer alone: only its hash is kept."""

    token = serializers.CharField(read_only=True)

    class Meta(InvitationSerializer.Meta):
        fields = [*InvitationSerializer.Meta.fields, "token"]


class Open:
    """Join tokens that would still let a host in."""

    permission_classes = [Administrator]
    queryset = ApiToken.objects.filter(kind=TokenKind.JOIN)
    serializer_class = InvitationSerializer

    def get_queryset(self):
        return ApiToken.objects.filter(
            kind=TokenKind.JOIN, revoked_at=None, expires_at__gt=timezone.now()
        ).select_related("user")


class Invitations(Open, generics.ListCreateAPIView):
    @extend_schema(request=InviteSerializer, responses={201: InviteAnswer})
    def post(self, request):
        """Make a join token: for one host, once, within an hour unless more is asked for."""
        wanted = InviteSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        given = wanted.validated_data
        with told():
            token, plain = joining.invite(
                request.user, given["name"], timedelta(minutes=given["expires_in_minutes"])
            )
        token.token = plain
        return Response(InviteAnswer(token).data, status=status.HTTP_201_CREATED)


class InvitationDetail(Open, generics.DestroyAPIView):
    """Take a join token back; a host that has joined with it stays."""

    def perform_destroy(self, token: ApiToken) -> None:
        ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())


class told:
    """What stands in the way, as an answer of the API: 400 with the field, or 401 for the token."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, joining.CannotJoin):
            raise exceptions.ValidationError({error.field or "site": [str(error)]}) from None
        if isinstance(error, joining.NoWayIn):
            raise exceptions.AuthenticationFailed(str(error)) from None


class Host:
    """The host that joins, in place of a person."""

    is_authenticated = True
    is_active = True
    is_superuser = False


class JoinToken(authentication.BaseAuthentication):
    """`Authorization: Bearer sw_join_…`: a host that may join, and nothing else."""

    def authenticate(self, request):
        scheme, _, plain = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        with told():
            return Host(), joining.invitation(plain.strip())

    def authenticate_header(self, request) -> str:
        return "Bearer"


class JoinTokenScheme(OpenApiAuthenticationExtension):
    """How the schema names it; importing this module registers it."""

    target_class = JoinToken
    name = "joinToken"

    def get_security_definition(self, auto_schema) -> dict:
        return {"type": "http", "scheme": "bearer", "description": "The token of an invitation: sw_join_…"}


class HasInvitation(BasePermission):
    message = "this needs a join token"

    def has_permission(self, request, view) -> bool:
        return isinstance(request.user, Host)


class Need(serializers.Serializer):
    what = serializers.CharField(help_text="database or broker")
    host = serializers.CharField()
    port = serializers.IntegerField()


class SiteAnswer(serializers.Serializer):
    version = serializers.CharField()
    tables = serializers.DictField(child=serializers.CharField(), help_text="{app: its newest migration}")
    now = serializers.FloatField(help_text="The site's clock, seconds since the epoch.")
    needs = Need(many=True)


class JoinSerializer(StrictSerializer):
    node = Name(max_length=100)
    hostname = Name(max_length=255)


class JoinAnswer(serializers.Serializer):
    environment = serializers.DictField(child=serializers.CharField(), help_text="Of the host's worker.")


class Join(APIView):
    """A host's way in."""

    authentication_classes = [JoinToken]
    permission_classes = [HasInvitation]

    @extend_schema(responses=SiteAnswer)
    def get(self, request):
        """What a host compares and reaches before it joins. The token stays good."""
        with told():
            return Response(joining.site())

    @extend_schema(request=JoinSerializer, responses=JoinAnswer)
    def post(self, request):
        """Become a node of this name: uses the token up, and gives what the host's worker needs."""
        wanted = JoinSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        with told():
            return Response({"environment": joining.join(request.auth, **wanted.validated_data)})
