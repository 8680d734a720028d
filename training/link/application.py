"""The raw ASGI application at /link/v1: no views, no middleware, one connection at a time handed on."""

import asyncio
from typing import Any

from monitoring.storage import series

from .connection import Connection, Receive, Send
from .hub import LinkHub


class LinkApplication:
    """Serves the link's websockets. `start` and `stop` frame its life; a first connection starts it too."""

    def __init__(self) -> None:
        self.hub = LinkHub()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        message = await receive()
        if message["type"] != "websocket.connect":
            return
        await self.hub.start()
        # Accepted before the token is looked at: only then can a refusal say in words what is wrong.
        await send({"type": "websocket.accept"})
        await Connection(self.hub, receive, send).serve(bearer(scope))

    async def start(self) -> None:
        series.writer()
        await self.hub.start()

    async def stop(self) -> None:
        await self.hub.stop()
        # Last: what the links took in is committed before the process ends.
        await asyncio.to_thread(series.stop_writer)


def bearer(scope: dict[str, Any]) -> str:
    """The token of the Authorization header, or nothing."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if scheme.lower() == "bearer" else ""
    return ""
