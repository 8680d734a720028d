"""Fan-out to the browsers of one web process.

One subscription to the broker, whatever the number of viewers; each message gets its topic once; each viewer
has a bounded queue that drops its oldest message, so a slow one holds up nobody. A viewer that keeps up is written to
at once, all that waits for it in one piece; only one that is behind costs a turn of its task for each message.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from . import frames, metrics
from .broker import background, closed, connect, listen
from .channels import LIVE_CHANNEL, WATCH_CHANNEL, WATCH_EXPIRES_SECONDS, WATCH_KEY, WATCH_REFRESH_SECONDS
from .frames import Message
from .recent import Recent

logger = logging.getLogger(__name__)
QUEUE_MESSAGES = 256
QUEUE_BYTES = 4 * 2**20
MAX_REPLIES = 1_000


# Viewers that are written to before the loop's other work gets its turn: about a millisecond.
VIEWERS_A_TURN = 50
# Writes whole websocket frames to one browser at once; False: it is behind, or gone.
Write = Callable[[bytes], bool]


class Viewer:
    """The queue of one connection. What the hub puts in goes out in `flush`, or where that can't be, by `take`."""

    def __init__(self, write: Write | None = None) -> None:
        self.write = write
        self.topics: dict[str, int] = {}  # topic -> its number when this viewer came
        self.replies: deque[Message] = deque()  # answers to the viewer's own frames: never dropped
        self.messages: deque[Message] = deque()
        self.bytes = 0
        self.filled = asyncio.Event()
        self.resting = False  # whether `take` waits, so that nothing it gave out is still to be sent
        self.listed = False  # whether the hub is to flush it
        self.dropped = 0

    def reply(self, frame: object) -> None:
        """Queue an answer. Raises TooManyReplies for a viewer that asks and never reads."""
        if len(self.replies) >= MAX_REPLIES:
            raise TooManyReplies
        self.replies.append(frames.message(frames.encode(frame)))
        self.filled.set()

    def offer(self, message: Message) -> None:
        self.messages.append(message)
        self.bytes += len(message.text)
        while len(self.messages) > QUEUE_MESSAGES or (self.bytes > QUEUE_BYTES and len(self.messages) > 1):
            self.bytes -= len(self.messages.popleft().text)
            self.dropped += 1
            metrics.DROPPED.inc()

    def flush(self) -> None:
        """Send all that waits, in one piece if the browser keeps up."""
        if not self.messages:
            return
        if self.write is not None and self.resting and not self.replies:
            only = self.messages[0].framed if len(self.messages) == 1 else None
            if self.write(only or b"".join(message.framed for message in self.messages)):
                self.messages.clear()
                self.bytes = 0
                return
        self.filled.set()

    async def take(self) -> Message:
        while not self.replies and not self.messages:
            self.filled.clear()
            self.resting = True
            await self.filled.wait()
            self.resting = False
        if self.replies:
            return self.replies.popleft()
        message = self.messages.popleft()
        self.bytes -= len(message.text)
        return message


class TooManyReplies(Exception):
    pass


class Topic:
    def __init__(self) -> None:
        self.n = 0
        self.viewers: set[Viewer] = set()


class LiveHub:
    """Who watches what in this web process. Used from its event loop alone."""

    def __init__(self) -> None:
        self.topics: dict[str, Topic] = {}
        self.recent = Recent(time.monotonic)
        self.unsent: deque[Viewer] = deque()  # the viewers to flush
        self.flushing = False
        self.fresh: set[str] = set()  # topics that got their first viewer since the last beat
        self.beat = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        if not self.tasks:
            self.tasks = [
                background(listen([LIVE_CHANNEL + "*"], self.receive, self.opened), "live listen"),
                background(self.keep_watched(), "live watched"),
            ]

    async def stop(self) -> None:
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def subscribe(self, viewer: Viewer, name: str, since: float | None = None) -> None:
        """From here on the viewer hears of the topic, and first of what was published since then (monotonic)."""
        if name in viewer.topics:
            return
        topic = self.topics.setdefault(name, Topic())
        if not topic.viewers:
            self.fresh.add(name)
            self.beat.set()
        topic.viewers.add(viewer)
        missed = [] if since is None else self.recent.of(name, since)
        before = [frames.encode(frames.LOST)] if missed is None else missed
        viewer.topics[name] = topic.n - len(before)
        for n, body in enumerate(before, 1):
            viewer.offer(frames.numbered(n, frames.with_topic(name, body)))

    def unsubscribe(self, viewer: Viewer, name: str) -> None:
        if viewer.topics.pop(name, None) is None:
            return
        topic = self.topics[name]
        topic.viewers.discard(viewer)
        if not topic.viewers:
            del self.topics[name]
            self.fresh.discard(name)

    def leave(self, viewer: Viewer) -> None:
        for name in list(viewer.topics):
            self.unsubscribe(viewer, name)

    def receive(self, channel: str, body: bytes) -> None:
        name = channel[len(LIVE_CHANNEL) :]
        self.recent.keep(name, body)
        topic = self.topics.get(name)
        if topic is not None:
            metrics.MESSAGES.inc()
            self.spread(name, topic, body)
            self.flush_soon()

    def spread(self, name: str, topic: Topic, body: bytes) -> None:
        topic.n += 1
        rest = frames.with_topic(name, body)
        # Those who came between the same two messages count alike and share one text.
        made: dict[int, Message] = {}
        for viewer in topic.viewers:
            n = topic.n - viewer.topics[name]
            message = made.get(n)
            if message is None:
                message = made[n] = frames.numbered(n, rest)
            viewer.offer(message)
            if not viewer.listed:
                viewer.listed = True
                self.unsent.append(viewer)

    def flush_soon(self) -> None:
        if self.unsent and not self.flushing:
            self.flushing = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Send to some viewers, then let the loop do its other work before the next.

        What comes meanwhile for a viewer that is still listed goes out with the rest of what it has.
        """
        for _ in range(min(VIEWERS_A_TURN, len(self.unsent))):
            viewer = self.unsent.popleft()
            viewer.listed = False
            viewer.flush()
        self.flushing = False
        self.flush_soon()

    async def opened(self) -> None:
        self.recent.restart()
        # What was published while the broker was away, or before the first subscription, is gone for those who
        # watch already: a jump in the number says so.
        body = frames.encode(frames.LOST)
        for name, topic in self.topics.items():
            topic.n += 1
            self.spread(name, topic, body)
        self.flush_soon()
        self.fresh.update(self.topics)
        self.beat.set()

    async def keep_watched(self) -> None:
        """Keep the broker told which topics have viewers; at once when a topic gets its first."""
        client = connect(socket_timeout=2)
        try:
            while True:
                fresh, self.fresh = self.fresh & self.topics.keys(), set()
                try:
                    await self.tell_watched(client, fresh)
                except (RedisError, OSError) as error:
                    logger.debug("not told who watches: %s", error)
                try:
                    # Not `wait_for`: before Python 3.12 it may swallow the cancellation that ends this task.
                    async with asyncio.timeout(WATCH_REFRESH_SECONDS):
                        await self.beat.wait()
                except TimeoutError:
                    continue
                finally:
                    self.beat.clear()
        finally:
            await closed(client)

    async def tell_watched(self, client: Redis, fresh: set[str]) -> None:
        if not self.topics:
            return
        pipe = client.pipeline(transaction=False)
        for name in self.topics:
            pipe.set(WATCH_KEY + name, b"1", ex=WATCH_EXPIRES_SECONDS)
        if fresh:
            pipe.publish(WATCH_CHANNEL, frames.encode({"topics": sorted(fresh)}))
        await pipe.execute()
