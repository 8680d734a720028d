"""How the hub keeps pace: one piece to who keeps up, a queue for who does not, and neither waits for the other."""

import asyncio
import json
import socket
import threading

import pytest
from websockets.asyncio.client import connect
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.uri import parse_uri

from monitoring.live.channels import LIVE_CHANNEL
from monitoring.live.hub import VIEWERS_A_TURN, LiveHub, Viewer
from monitoring.live.publish import publish_change, send
from tests.live.viewer import browser
from tests.support.domain import a_member, a_project, a_run
from tests.support.site import Site
from tests.support.wait import PATIENCE_SECONDS, db

BODY = b'{"type":"changed"}'


def frames_in(written: bytes) -> list[dict]:
    """The text frames of these bytes, as a websocket client understands them."""
    client = ClientProtocol(parse_uri("ws://test/"), max_size=None)
    client.state = 1  # open: the handshake is not part of this
    client.parser = client.parse()
    next(client.parser)
    client.receive_data(written)
    return [json.loads(event.data) for event in client.events_received()]


class Line:
    """One browser's end: takes what is written until it is blocked."""

    def __init__(self):
        self.written: list[bytes] = []
        self.blocked = False

    def write(self, frames: bytes) -> bool:
        if not self.blocked:
            self.written.append(frames)
        return not self.blocked


async def watching(hub: LiveHub, line: Line) -> tuple[Viewer, asyncio.Task]:
    """A viewer of run:a whose task waits, as an open connection's does."""
    viewer = Viewer(line.write)
    hub.subscribe(viewer, "run:a")
    task = asyncio.create_task(viewer.take())
    await asyncio.sleep(0)
    return viewer, task


async def turns_until(condition) -> int:
    turns = 0
    while not condition():
        await asyncio.sleep(0)
        turns += 1
        assert turns < 10_000
    return turns


async def test_what_comes_in_one_turn_goes_out_in_one_piece_and_in_order():
    hub, line = LiveHub(), Line()
    _, task = await watching(hub, line)
    for _ in range(3):
        hub.receive(LIVE_CHANNEL + "run:a", BODY)
    assert line.written == []
    await turns_until(lambda: line.written)
    (piece,) = line.written
    assert [frame["n"] for frame in frames_in(piece)] == [1, 2, 3]
    hub.receive(LIVE_CHANNEL + "run:a", BODY)
    await turns_until(lambda: len(line.written) > 1)
    assert [frame["n"] for frame in frames_in(line.written[1])] == [4]
    task.cancel()


async def test_many_viewers_leave_turns_to_the_other_work_of_the_process():
    hub, lines = LiveHub(), [Line() for _ in range(5 * VIEWERS_A_TURN)]
    tasks = [(await watching(hub, line))[1] for line in lines]
    hub.receive(LIVE_CHANNEL + "run:a", BODY)
    assert await turns_until(lambda: all(line.written for line in lines)) >= 5
    for task in tasks:
        task.cancel()


async def test_nothing_overtakes_what_a_viewer_that_is_behind_still_has_to_get():
    hub, line = LiveHub(), Line()
    viewer, task = await watching(hub, line)
    line.blocked = True
    hub.receive(LIVE_CHANNEL + "run:a", BODY)
    first = await task  # its own task has the first message now, and waits to send it
    line.blocked = False
    hub.receive(LIVE_CHANNEL + "run:a", BODY)
    await turns_until(lambda: not hub.unsent)
    assert line.written == []
    assert [json.loads(message.text)["n"] for message in (first, await viewer.take())] == [1, 2]


async def test_an_answer_comes_before_the_messages_that_follow_it():
    hub, line = LiveHub(), Line()
    viewer, task = await watching(hub, line)
    viewer.reply({"type": "pong"})
    hub.receive(LIVE_CHANNEL + "run:a", BODY)
    assert json.loads((await task).text) == {"type": "pong"}
    assert line.written == []
    assert json.loads((await viewer.take()).text)["n"] == 1


class SlowBrowser:
    """A phone on a bad line: a small window, and it reads only as much as it is told to."""

    def __init__(self, site, headers):
        self.client = ClientProtocol(parse_uri(site.ws + "/ws/live"), max_size=None)
        self.request = self.client.connect()
        for name, value in headers.items():
            self.request.headers[name] = value
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setblocking(False)
        self.address = ("127.0.0.1", site.port)
        self.numbers: list[int] = []
        self.subscribed = False

    async def open(self, topic: str) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, self.address)
        self.client.send_request(self.request)
        await self.tell()
        while self.client.handshake_exc is None and self.client.state != 1:
            await self.read(1024)
        self.client.send_text(json.dumps({"type": "subscribe", "topics": [topic]}).encode())
        await self.tell()
        while not self.subscribed:
            await self.read(1024)

    async def tell(self) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, b"".join(self.client.data_to_send()))

    async def read(self, size: int) -> None:
        data = await asyncio.wait_for(
            asyncio.get_running_loop().sock_recv(self.socket, size), PATIENCE_SECONDS
        )
        assert data, "the site closed the slow browser's connection"
        self.client.receive_data(data)
        for event in self.client.events_received():
            if isinstance(event, Frame):
                frame = json.loads(event.data)
                if frame["type"] == "subscribed":
                    self.subscribed = True
                else:
                    self.numbers.append(frame["n"])


@pytest.mark.processes
@pytest.mark.django_db(transaction=True, databases="__all__")
async def test_a_page_that_reads_slowly_gets_what_it_can_and_slows_no_other(live_site, run, headers):
    """1,500 messages of 20 kB; the slow page reads a tenth of them, the quick one each before the next twenty."""
    slow = SlowBrowser(live_site, headers)
    try:
        async with browser(live_site, headers) as quick:
            await slow.open(run.source)
            await quick.subscribe(run.source)
            count, room = 1500, threading.Semaphore(20)
            message = {"type": "changed", "what": "run", "at": 0, "data": {"text": "x" * 20_000}}

            def publish():
                for _ in range(count):
                    assert room.acquire(timeout=PATIENCE_SECONDS)
                    send(LIVE_CHANNEL + run.source, message)

            async def look():
                for n in range(1, count + 1):
                    assert (await quick.receive())["n"] == n
                    room.release()
                    await slow.read(2000)

            await asyncio.gather(look(), db(publish))
            behind = count - slow.numbers[-1]
            assert behind > count / 2
            while slow.numbers[-1] < count:
                await slow.read(2**20)
            assert slow.numbers == sorted(set(slow.numbers))
            assert len(slow.numbers) < count  # the gaps say: read the store
    finally:
        slow.socket.close()


@pytest.mark.processes
@pytest.mark.django_db(transaction=True, databases="__all__")
async def test_a_server_that_takes_no_made_frames_shows_the_same(transactional_db, broker):
    site = await db(Site, "websockets-sansio")
    try:
        run = await db(a_run)
        headers = await db(lambda: site.login(a_member(a_project(), "vera", "viewer")))
        async with connect(site.ws + "/ws/live", additional_headers=headers, compression=None) as socket_:
            await socket_.send(json.dumps({"type": "subscribe", "topics": [run.source]}))
            assert json.loads(await socket_.recv())["type"] == "subscribed"
            frame = None
            while frame is None:
                await db(publish_change, run.source, "run", {"a": 1})
                try:
                    async with asyncio.timeout(0.5):
                        frame = json.loads(await socket_.recv())
                except TimeoutError:
                    continue
            assert (frame["data"], frame["topic"]) == ({"a": 1}, run.source)
    finally:
        await db(site.close)
