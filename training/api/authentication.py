"""Bearer tokens for scripts; browsers use their session."""

from django.utils import timezone
from rest_framework import authentication, exceptions

from ..models import ApiToken, TokenKind


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer sw_user_…` acts as the token's user.

    Run and node tokens are not accepted here: they open the link alone.
    """

    keyword = "Bearer"

    def authenticate(self, request):
        scheme, _, plain = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = ApiToken.find(plain.strip(), TokenKind.USER)
        if token is None or not token.user.is_active:
            raise exceptions.AuthenticationFailed(
                "the token is unknown, expired, revoked or not a user token"
            )
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now())
        return token.user, token

    def authenticate_header(self, request) -> str:
        return self.keyword
