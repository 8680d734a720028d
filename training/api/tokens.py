"""A person's own API tokens."""

from datetime import datetime, timedelta

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from monitoring.api.strict import Name, StrictSerializer, Whole
from training.models import ApiToken, TokenKind


class TokenSerializer(serializers.ModelSerializer):
    class Meta:
        model = ApiToken
        fields = ["id", "name", "prefix", "created_at", "expires_at", "last_used_at"]


class NewTokenSerializer(StrictSerializer):
    name = Name(max_length=200)
    expires_in_days = Whole(min_value=1, max_value=3650, required=False, allow_null=True)


class NewTokenAnswer(TokenSerializer):
    """The token itself is in this answer alone: only its hash is kept."""

    token = serializers.CharField(read_only=True)

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "token"]


class Own:
    """Tokens of the caller, valid or expired; revoked ones are gone from sight."""

    queryset = ApiToken.objects.all()
    serializer_class = TokenSerializer

    def get_queryset(self):
        user = self.request.user
        if not user.is_authenticated:
            return ApiToken.objects.none()
        return ApiToken.objects.filter(kind=TokenKind.USER, user=user, revoked_at=None)


class Tokens(Own, generics.ListCreateAPIView):
    @extend_schema(request=NewTokenSerializer, responses={201: NewTokenAnswer})
    def post(self, request):
        wanted = NewTokenSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        token, plain = ApiToken.issue(
            TokenKind.USER,
            user=request.user,
            name=wanted.validated_data["name"],
            expires_at=expiry(wanted.validated_data.get("expires_in_days"), request.auth),
        )
        token.token = plain
        return Response(NewTokenAnswer(token).data, status=status.HTTP_201_CREATED)


def expiry(days: int | None, maker: ApiToken | None) -> datetime | None:
    """When the new token ends. Made with a token that ends, it ends no later: a leaked token must not live on."""
    asked = timezone.now() + timedelta(days=days) if days else None
    latest = maker.expires_at if isinstance(maker, ApiToken) else None
    if asked is None or latest is None:
        return asked or latest
    if asked > latest:
        raise ValidationError(
            {
                "expires_in_days": [
                    f"{days} days are past the end of the token you use ({latest:%Y-%m-%d %H:%M} UTC); ask for fewer, "
                    "leave it out, or log in with your password."
                ]
            }
        )
    return asked


class TokenDetail(Own, generics.RetrieveDestroyAPIView):
    def perform_destroy(self, token: ApiToken) -> None:
        # Kept, so that "who had access when" can still be answered.
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
