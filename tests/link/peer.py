"""A raw end of the link: what an SDK in any language would have to say."""

import asyncio
import time
import uuid
from contextlib import asynccontextmanager

from websockets.asyncio.client import connect

from scaleweb_sdk.protocol import (
    LINK_PATH,
    PROTOCOL_VERSION,
    Ack,
    Batch,
    Column,
    Hello,
    Hint,
    Orders,
    Refusal,
    Welcome,
    decode_down,
    encode,
)
from tests.support.wait import PATIENCE_SECONDS


class Peer:
    def __init__(self, socket, hello: Hello):
        self.socket = socket
        self.hello = hello
        self.seq = 0
        self.acked = 0
        self.orders = []
        self.hints = []
        self.patience = PATIENCE_SECONDS

    async def send(self, frame) -> None:
        await self.socket.send(frame if isinstance(frame, bytes) else encode(frame))

    async def receive(self):
        # Not `wait_for`: before Python 3.12 it may swallow the end of a shorter time limit around it.
        async with asyncio.timeout(self.patience):
            frame = decode_down(await self.socket.recv())
        if isinstance(frame, Ack):
            assert frame.seq >= self.acked
            self.acked = frame.seq
        elif isinstance(frame, Orders):
            self.orders += frame.orders
        elif isinstance(frame, Hint):
            self.hints.append(frame.flush_seconds)
        return frame

    async def expect(self, kind):
        while not isinstance(frame := await self.receive(), kind):
            assert not isinstance(frame, Refusal), frame
        return frame

    async def batch(self, *, wait: bool = True, seq: int | None = None, **fields) -> int:
        self.seq = self.seq + 1 if seq is None else seq
        await self.send(Batch(self.seq, **fields))
        if wait:
            while self.acked < self.seq:
                await self.expect(Ack)
        return self.seq

    async def refusal(self) -> Refusal:
        while not isinstance(frame := await self.receive(), Refusal):
            pass
        return frame


def column(key: str, *points: tuple[int, float], at: float | None = None) -> Column:
    at = time.time() if at is None else at
    return Column(key, [step for step, _ in points], [at] * len(points), [value for _, value in points])


def hello(source: str, **fields) -> Hello:
    return Hello(
        fields.pop("protocol", PROTOCOL_VERSION),
        fields.pop("session", uuid.uuid4().hex),
        "test",
        source,
        **fields,
    )


@asynccontextmanager
async def linked(site, token: str, first: Hello | bytes, welcome: bool = True):
    """A connected peer; with `welcome`, one that was let in."""
    peer = await dial(site, token, first)
    try:
        while welcome:
            answer = await peer.receive()
            if isinstance(answer, Welcome):
                peer.welcome = answer
                peer.seq = peer.acked = answer.last_seq
                break
            # The place of one that hung up a moment ago may not be free yet: come again, as the SDK does.
            if isinstance(answer, Refusal):
                assert answer.code == "busy", answer
                await peer.socket.close()
                peer = await dial(site, token, first)
        yield peer
    finally:
        await peer.socket.close()


async def dial(site, token: str, first: Hello | bytes) -> Peer:
    socket = await connect(
        site.ws + LINK_PATH,
        additional_headers={"Authorization": f"Bearer {token}"},
        open_timeout=PATIENCE_SECONDS,
        max_size=None,
        compression=None,
    )
    peer = Peer(socket, first)
    await peer.send(first)
    return peer
