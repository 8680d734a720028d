"""A web process's two asynchronous dealings with the broker: listening for ever, and publishing in order."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import redis.asyncio as redis
from django.conf import settings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .refused import why

logger = logging.getLogger(__name__)
FIRST_DELAY_SECONDS = 0.05
LONGEST_DELAY_SECONDS = 1.0
OUTBOX_MESSAGES = 2_000
OUTBOX_BYTES = 16 * 2**20


def connect(**given: Any) -> redis.Redis:
    # No retries inside: the loops here retry, and say once that the broker is away.
    options: dict[str, Any] = {
        "socket_connect_timeout": 2, "retry": Retry(NoBackoff(), 0),
        "driver_info": None,  # else each connection looks its library's version up on disk
        **given,
    }  # fmt: skip
    return redis.Redis.from_url(settings.REDIS_URL, **options)


def background(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """A task for the life of the process, whose failure is logged rather than found out at its end."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(report)
    return task


def report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the background task %s has failed", task.get_name(), exc_info=error)


async def listen(
    patterns: list[str],
    handle: Callable[[str, bytes], Awaitable[None] | None],
    opened: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Hand every message on these patterns to `handle(channel, body)`, for ever.

    Messages sent while the broker was away are lost; `opened` runs after each subscription, the first
    one too, so that the caller can catch up. Ends only by cancellation.
    """
    delay = FIRST_DELAY_SECONDS
    away = False
    while True:
        # An idle subscription is healthy: no read time-out, and a ping finds a dead peer.
        client = connect(socket_timeout=None, health_check_interval=5)
        pubsub = client.pubsub()
        try:
            await pubsub.psubscribe(*patterns)
            if opened is not None:
                await opened()
            if away:
                logger.warning("subscribed to the broker again (%s)", ", ".join(patterns))
            away, delay = False, FIRST_DELAY_SECONDS
            while True:
                message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=10)
                if message is not None:
                    outcome = handle(message["channel"].decode(), message["data"])
                    if outcome is not None:
                        await outcome
        except (RedisError, OSError) as error:
            if not away:
                logger.warning("lost the broker (%s): %s (%s)", ", ".join(patterns), why(error), error)
            away = True
        finally:
            await closed(pubsub, client)
        await asyncio.sleep(delay)
        delay = min(delay * 2, LONGEST_DELAY_SECONDS)


async def closed(*clients: Any) -> None:
    for client in clients:
        try:
            await client.aclose()
        except (RedisError, OSError):
            continue


class Outbox:
    """Tells the broker in order, without holding up the caller; drops the oldest when the broker is too slow.

    `run` is the sending end, a task for the life of the process.
    """

    def __init__(self) -> None:
        self.waiting: deque[tuple[Any, ...]] = deque()  # commands
        self.bytes = 0
        self.filled = asyncio.Event()

    def put(self, channel: str, body: bytes) -> None:
        """Publish."""
        self.add("PUBLISH", channel, body)

    def keep(self, key: str, field: str, body: bytes, seconds: int) -> None:
        """Put into a hash, of which all is gone where nothing is put into it for so many seconds."""
        self.add("HSET", key, field, body)
        self.add("EXPIRE", key, seconds)

    def forget(self, key: str, field: str) -> None:
        self.add("HDEL", key, field)

    def add(self, *command: Any) -> None:
        self.waiting.append(command)
        self.bytes += weight(command)
        while len(self.waiting) > OUTBOX_MESSAGES or self.bytes > OUTBOX_BYTES:
            self.take()
        self.filled.set()

    def take(self) -> tuple[Any, ...]:
        command = self.waiting.popleft()
        self.bytes -= weight(command)
        return command

    async def run(self) -> None:
        client = connect(socket_timeout=2)
        try:
            while True:
                await self.filled.wait()
                self.filled.clear()
                while self.waiting:
                    pipe = client.pipeline(transaction=False)
                    for _ in range(min(len(self.waiting), 200)):
                        pipe.execute_command(*self.take())
                    try:
                        await pipe.execute()
                    except (RedisError, OSError) as error:
                        # Lost, as a live message may be; the viewers read the store.
                        logger.debug("not published: %s", error)
                        await asyncio.sleep(LONGEST_DELAY_SECONDS / 4)
        finally:
            await closed(client)


def weight(command: tuple[Any, ...]) -> int:
    return sum(len(each) for each in command if isinstance(each, bytes))
