"""Bearer tokens for scripts; browsers use their session."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions

from training.models import ApiToken, TokenKind


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
        token.note_use()
        return token.user, token

    def authenticate_header(self, request) -> str:
        return self.keyword


class TokenScheme(OpenApiAuthenticationExtension):
    """How the schema names it; importing this module registers it."""

    target_class = TokenAuthentication
    name = "userToken"

    def get_security_definition(self, auto_schema) -> dict:
        return {"type": "http", "scheme": "bearer", "description": "A user token: sw_user_…"}
