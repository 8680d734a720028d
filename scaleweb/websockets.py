"""uvicorn's websocket, which can besides write frames that were made once for many connections.

    uvicorn scaleweb.asgi:application --ws scaleweb.websockets:FramesProtocol --ws-per-message-deflate false

A plain ASGI `send` makes the frame anew for each connection and takes a turn of its task: half of what a message to a
thousand browsers costs. The scope's extension `scaleweb.frames` has `write(frames)`, a plain call.
"""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from monitoring.live.frames import EXTENSION


class FramesProtocol(WebSocketsSansIOProtocol):
    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            # The application's task has been made, and first runs after this.
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = {"write": self.write_frames}

    def write_frames(self, frames: bytes) -> bool:
        """Write whole websocket frames now, or say False: the browser is behind, or gone.

        Between two sends nothing of the connection's own is half written, so frames may come in between.
        """
        # The end of a connection is noted in three places, each some turns of the loop before the next.
        if self.disconnected or self.close_sent or self.transport.is_closing() or not self.handshake_complete:
            return False
        if not self.writable.is_set():
            return False
        self.transport.write(frames)
        return True
