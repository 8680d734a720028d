"""A raw browser end of /ws/live."""

import asyncio
import json
from contextlib import asynccontextmanager

from websockets.asyncio.client import connect

from tests.support.wait import PATIENCE_SECONDS


class Browser:
    def __init__(self, socket):
        self.socket = socket

    async def send(self, frame) -> None:
        await self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def receive(self, timeout: float = PATIENCE_SECONDS):
        async with asyncio.timeout(timeout):
            return json.loads(await self.socket.recv())

    async def expect(self, kind: str):
        while (frame := await self.receive())["type"] != kind:
            pass
        return frame

    async def subscribe(self, *topics: str):
        await self.send({"type": "subscribe", "topics": list(topics)})
        return await self.expect("subscribed")


@asynccontextmanager
async def browser(site, headers):
    async with connect(
        site.ws + "/ws/live",
        additional_headers=headers,
        open_timeout=PATIENCE_SECONDS,
        max_size=None,
        compression=None,
    ) as socket:
        yield Browser(socket)
