"""A person's own API tokens."""

from datetime import timedelta

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
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
        days = wanted.validated_data.get("expires_in_days")
        token, plain = ApiToken.issue(
            TokenKind.USER,
            user=request.user,
            name=wanted.validated_data["name"],
            expires_at=timezone.now() + timedelta(days=days) if days else None,
        )
        token.token = plain
        return Response(NewTokenAnswer(token).data, status=status.HTTP_201_CREATED)


class TokenDetail(Own, generics.RetrieveDestroyAPIView):
    def perform_destroy(self, token: ApiToken) -> None:
        # Kept, so that "who had access when" can still be answered.
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
