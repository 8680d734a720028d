"""Fan-out to the browsers of one web process.

One subscription to the broker, whatever the number of viewers; each message gets its topic once; each viewer
has a bounded queue that drops its oldest message, so a slow one holds up nobody.
"""

import asyncio
import logging
from collections import deque

from redis.asyncio import Redis
from redis.exceptions import RedisError

from . import frames, metrics
from .broker import background, closed, connect, listen
from .channels import LIVE_CHANNEL, WATCH_CHANNEL, WATCH_EXPIRES_SECONDS, WATCH_KEY, WATCH_REFRESH_SECONDS

logger = logging.getLogger(__name__)
QUEUE_MESSAGES = 256
QUEUE_BYTES = 4 * 2**20
MAX_REPLIES = 1_000


class Viewer:
    """The queue of one connection: what the hub puts in, its consumer takes out."""

    def __init__(self) -> None:
        self.topics: dict[str, int] = {}  # topic -> its number when this viewer came
        self.replies: deque[str] = deque()  # answers to the viewer's own frames: never dropped
        self.messages: deque[str] = deque()
        self.bytes = 0
        self.filled = asyncio.Event()
        self.dropped = 0

    def reply(self, frame: object) -> None:
        """Queue an answer. Raises TooManyReplies for a viewer that asks and never reads."""
        if len(self.replies) >= MAX_REPLIES:
            raise TooManyReplies
        self.replies.append(frames.encode(frame).decode())
        self.filled.set()

    def offer(self, text: str) -> None:
        self.messages.append(text)
        self.bytes += len(text)
        while len(self.messages) > QUEUE_MESSAGES or (self.bytes > QUEUE_BYTES and len(self.messages) > 1):
            self.bytes -= len(self.messages.popleft())
            self.dropped += 1
            metrics.DROPPED.inc()
        self.filled.set()

    async def take(self) -> str:
        while not self.replies and not self.messages:
            self.filled.clear()
            await self.filled.wait()
        if self.replies:
            return self.replies.popleft()
        text = self.messages.popleft()
        self.bytes -= len(text)
        return text


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

    def subscribe(self, viewer: Viewer, name: str) -> None:
        if name in viewer.topics:
            return
        topic = self.topics.setdefault(name, Topic())
        if not topic.viewers:
            self.fresh.add(name)
            self.beat.set()
        topic.viewers.add(viewer)
        viewer.topics[name] = topic.n

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
        topic = self.topics.get(name)
        if topic is not None:
            metrics.MESSAGES.inc()
            self.spread(name, topic, body)

    def spread(self, name: str, topic: Topic, body: bytes) -> None:
        topic.n += 1
        rest = frames.with_topic(name, body)
        # Those who came between the same two messages count alike and share one text.
        texts: dict[int, str] = {}
        for viewer in topic.viewers:
            n = topic.n - viewer.topics[name]
            text = texts.get(n)
            if text is None:
                text = texts[n] = frames.numbered(n, rest)
            viewer.offer(text)

    async def opened(self) -> None:
        # What was published while the broker was away, or before the first subscription, is gone for those who
        # watch already: a jump in the number says so.
        body = frames.encode(frames.LOST)
        for name, topic in self.topics.items():
            topic.n += 1
            self.spread(name, topic, body)
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
