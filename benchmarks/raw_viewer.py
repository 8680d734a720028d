"""The cheapest browser end of /ws/live: a thousand of them must not cost more than the site they measure."""

import asyncio
import json
import time
from typing import Any, Protocol

import msgspec

from benchmarks.site import MeasuredSite

TEXT, PING = 0x81, 0x89


class Told(msgspec.Struct):
    """What a viewer looks at in a frame: reading the rest would cost as much as receiving it."""

    type: str
    n: int = 0
    at: float = 0.0


told = msgspec.json.Decoder(Told)


class Tally(Protocol):
    latencies: list[float]
    gaps: int


class RawViewer(asyncio.Protocol):
    """Subscribes to the site's one run. Then either `next_frame`, or `count` until the last message."""

    def __init__(self, site: MeasuredSite, loop: asyncio.AbstractEventLoop) -> None:
        self.site, self.loop = site, loop
        self.buffer = b""
        self.open = False
        self.waiting: asyncio.Future[dict[str, Any]] = loop.create_future()
        self.tally: Tally | None = None
        self.seen, self.last = 0, 0
        self.done: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        headers = {
            "Host": self.site.url.split("//")[1],
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Version": "13",
        } | self.site.headers
        lines = ["GET /ws/live HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        transport.write("\r\n".join(lines).encode())

    def connection_lost(self, error: Exception | None) -> None:
        for future in (self.waiting, self.done):
            if not future.done():
                future.set_exception(ConnectionError(f"the site closed a viewer's connection: {error}"))

    def data_received(self, data: bytes) -> None:
        now = time.time()
        self.buffer += data
        if not self.open:
            head, found, self.buffer = self.buffer.partition(b"\r\n\r\n")
            if not found:
                self.buffer = head
                return
            assert b" 101 " in head, head
            self.open = True
            self.send(TEXT, json.dumps({"type": "subscribe", "topics": ["run:" + self.site.run]}).encode())
        while (frame := self.take()) is not None:
            kind, body = frame
            if kind == PING:
                self.send(0x8A, body)
            elif kind == TEXT:
                self.receive(body, now)

    def take(self) -> tuple[int, bytes] | None:
        """One whole frame from the buffer, if it is there."""
        buffer = self.buffer
        if len(buffer) < 4:
            return None
        start, length = 2, buffer[1]
        if length == 126:
            start, length = 4, int.from_bytes(buffer[2:4], "big")
        if len(buffer) < start + length:
            return None
        self.buffer = buffer[start + length :]
        return buffer[0], buffer[start : start + length]

    def send(self, kind: int, body: bytes) -> None:
        # Masked with zeros, as a client must.
        self.transport.write(bytes([kind, 0x80 | 126]) + len(body).to_bytes(2, "big") + bytes(4) + body)

    def receive(self, body: bytes, now: float) -> None:
        if self.tally is None:
            if not self.waiting.done():
                self.waiting.set_result(json.loads(body))
            return
        frame = told.decode(body)
        if frame.type == "changed":
            self.tally.latencies.append(now - frame.at)
            self.tally.gaps += frame.n - self.seen - 1
            self.seen = frame.n
            if self.seen >= self.last:
                self.done.set_result(None)
                self.transport.close()

    async def next_frame(self) -> dict[str, Any]:
        return await self.waiting

    def count(self, tally: Tally, last: int) -> asyncio.Future[None]:
        """Done once the message with number `last` was seen."""
        self.tally, self.last = tally, last
        return self.done
