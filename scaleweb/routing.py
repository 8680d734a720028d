"""Which ASGI application answers which path. `tests/api/test_access.py` enumerates these too."""

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path

from monitoring.live.consumers import LiveConsumer
from scaleweb_sdk.protocol import LINK_PATH
from training.link import LinkApplication

LIVE_PATH = "/ws/live"


def build(django_application):
    """The whole site as one ASGI application."""
    link = LinkApplication()
    live = AllowedHostsOriginValidator(
        AuthMiddlewareStack(URLRouter([path(LIVE_PATH.lstrip("/"), LiveConsumer.as_asgi())]))
    )

    async def application(scope, receive, send):
        if scope["type"] == "websocket":
            if scope["path"] == LINK_PATH:
                return await link(scope, receive, send)
            if scope["path"] == LIVE_PATH:
                return await live(scope, receive, send)
            return await send({"type": "websocket.close", "code": 4404})
        if scope["type"] == "lifespan":
            return await link.lifespan(scope, receive, send)
        return await django_application(scope, receive, send)

    return application
