"""Bearer tokens for scripts; browsers use their session."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions

from monitoring.models import Node
from training.models import ApiToken, Run, TokenKind


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer sw_user_…` acts as the token's user.

    Run and node tokens are not accepted here: they open the link, and a run's the way of its media up.
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


class RunTokenAuthentication(TokenAuthentication):
    """A run's own token, for sending what belongs to this run and for nothing else."""

    def authenticate(self, request):
        plain = request.headers.get("Authorization", "").partition(" ")[2].strip()
        if request.method not in {"PUT", "POST"} or not plain.startswith("sw_run_"):
            return super().authenticate(request)
        token = ApiToken.find(plain, TokenKind.RUN)
        if token is None or token.run is None:
            raise exceptions.AuthenticationFailed("the token is unknown, expired, revoked or not this run's")
        return Speaker(token.run), token


class Speaker:
    """The process of a run, in place of a person."""

    is_authenticated = True
    is_active = True

    def __init__(self, run: Run):
        self.run = run


class NodeTokenAuthentication(TokenAuthentication):
    """A node's own token, for reading what its jobs need and for nothing else."""

    def authenticate(self, request):
        plain = request.headers.get("Authorization", "").partition(" ")[2].strip()
        if request.method != "GET" or not plain.startswith("sw_node_"):
            return super().authenticate(request)
        token = ApiToken.find(plain, TokenKind.NODE)
        if token is None or token.node is None:
            raise exceptions.AuthenticationFailed("the token is unknown, expired, revoked or not a node's")
        return NodeSpeaker(token.node), token


class NodeSpeaker:
    """The worker of a node, in place of a person."""

    is_authenticated = True
    is_active = True

    def __init__(self, node: Node):
        self.node = node


class NodeTokenScheme(OpenApiAuthenticationExtension):
    target_class = NodeTokenAuthentication
    name = "nodeToken"

    def get_security_definition(self, auto_schema) -> dict:
        return {"type": "http", "scheme": "bearer", "description": "A user token, or a node's: sw_node_…"}


class RunTokenScheme(OpenApiAuthenticationExtension):
    target_class = RunTokenAuthentication
    name = "runToken"

    def get_security_definition(self, auto_schema) -> dict:
        return {"type": "http", "scheme": "bearer", "description": "A user token, or the run's own: sw_run_…"}


class TokenScheme(OpenApiAuthenticationExtension):
    """How the schema names it; importing this module registers it."""

    target_class = TokenAuthentication
    name = "userToken"

    def get_security_definition(self, auto_schema) -> dict:
        return {"type": "http", "scheme": "bearer", "description": "A user token: sw_user_…"}
