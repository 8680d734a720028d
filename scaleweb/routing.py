"""Which ASGI application answers which path. `tests/api/test_access.py` enumerates these too."""

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from django.urls import path

from monitoring.live.consumers import LiveConsumer
from monitoring.live.hub import LiveHub
from scaleweb_sdk.protocol import LINK_PATH
from training.link import LinkApplication
from training.watching import may_watch

from . import door

LIVE_PATH = "/ws/live"
WEBSOCKET_PATHS = (LINK_PATH, LIVE_PATH)


def build(django_application):
    """The whole site as one ASGI application."""
    link = LinkApplication()
    hub = LiveHub()
    consumer = LiveConsumer.as_asgi(hub=hub, may_watch=may_watch)
    live = AuthMiddlewareStack(URLRouter([path(LIVE_PATH.lstrip("/"), consumer)]))
    pages = door.bounded(django_application)

    sockets = dict(zip(WEBSOCKET_PATHS, (link, live), strict=True))

    async def application(scope, receive, send):
        if scope["type"] == "websocket":
            socket = sockets.get(scope["path"])
            if socket is None:
                return await send({"type": "websocket.close", "code": 4404})
            # Programs speak on the link with a token; browsers, whose cookies come by themselves, only look on.
            if not door.admitted(scope, browser=socket is live):
                return await door.turn_away(send)
            return await socket(scope, receive, send)
        if scope["type"] == "lifespan":
            return await lifespan(receive, send, [link, hub])
        return await pages(scope, receive, send)

    return application


async def lifespan(receive, send, parts) -> None:
    """Start the parts in order as the server comes up; stop them in reverse as it goes down."""
    started = []
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            for part in parts:
                await part.start()
                started.append(part)
            await send({"type": "lifespan.startup.complete"})
        else:
            for part in reversed(started):
                await part.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
