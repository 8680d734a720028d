"""The whole ASGI site behind a real uvicorn on a free port, in a thread of the test process."""

import asyncio
import socket
import threading

import uvicorn
from django.conf import settings
from django.test import Client

from tests.support.wait import until


class Site:
    """`url` and `ws` are its addresses; `stop` shuts it down in order, `start` brings it back there.

    ws: uvicorn's end of websockets.
    """

    def __init__(self, ws: str = "scaleweb.websockets:FramesProtocol") -> None:
        self.protocol = ws
        # Bound for the site's whole life, but never listening: nobody else is given the port meanwhile, and
        # while the site is stopped a connection is refused.
        self.reserved = socket.socket()
        self.reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.reserved.bind(("127.0.0.1", 0))
        self.port = self.reserved.getsockname()[1]
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def start(self) -> None:
        from django.core.asgi import get_asgi_application

        from scaleweb.routing import build

        config = uvicorn.Config(
            build(get_asgi_application()),
            host="127.0.0.1",
            port=self.port,
            ws=self.protocol,
            ws_per_message_deflate=False,
            log_level="warning",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=5,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve()), name="site")
        self.thread.start()
        until(lambda: self.server.started or not self.thread.is_alive())
        assert self.server.started, "the site did not start"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(60)
        assert not self.thread.is_alive(), "the site did not stop"

    def close(self) -> None:
        self.stop()
        self.reserved.close()

    def login(self, user) -> dict[str, str]:
        """Headers of a browser in which this user is logged in."""
        client = Client()
        client.force_login(user)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}", "Origin": self.url}
