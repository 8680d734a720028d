"""Tells every web process what happened, through one plain publish on the broker.

A message here may be lost (the broker may be down): every reader can get the same from the database.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import msgspec
import redis
from django.conf import settings
from django.db import transaction

from monitoring.plain import plain

from .channels import LIVE_CHANNEL, WAKE_CHANNEL, WATCH_CHANNEL, WATCH_EXPIRES_SECONDS, WATCH_KEY
from .refused import why

logger = logging.getLogger(__name__)
encoder = msgspec.json.Encoder()
# While the broker is away, a state change must not wait for it again and again.
RETRY_SECONDS = 1.0
MANY = 500


@cache
def client() -> redis.Redis:
    # Short time-outs: a dead broker must not hold up a state change.
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


class Outage:
    """Whether the broker failed a moment ago; one warning an outage."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.failed_at: float | None = None

    def recent(self) -> bool:
        return self.failed_at is not None and time.monotonic() - self.failed_at < RETRY_SECONDS

    def note(self, error: Exception | None) -> None:
        with self.lock:
            was_down, self.failed_at = self.failed_at is not None, None if error is None else time.monotonic()
        if error is not None and not was_down:
            logger.warning("the broker is away, live updates pause: %s (%s)", why(error), error)
        if error is None and was_down:
            logger.warning("the broker is back, live updates go on")


outage = Outage()


def publish_change(topic: str, what: str, data: dict[str, Any]) -> None:
    """Tell the viewers of `topic` that `what` changed, once the transaction around it is committed.

    what: run, tunable, command, decision, checkpoint, event, media, job, node or experiment.
    """
    message = {"type": "changed", "what": what, "at": time.time(), "data": plain(data, "data")}
    after_commit(LIVE_CHANNEL + topic, message)


def publish_changes(what: str, changes: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """The same of many topics at once, (topic, data) each: the broker is asked once for a few hundred of them."""
    at = time.time()
    messages = [
        (LIVE_CHANNEL + topic, {"type": "changed", "what": what, "at": at, "data": plain(data, "data")})
        for topic, data in changes
    ]
    if messages:
        transaction.on_commit(lambda: send_all(messages))


def watch(topics: Sequence[str]) -> None:
    """Have the senders of these flush as often as for a viewer, for WATCH_EXPIRES_SECONDS from now."""
    with to_broker() as broker:
        if broker is not None and topics:
            pipe = broker.pipeline(transaction=False)
            for topic in topics:
                pipe.set(WATCH_KEY + topic, b"1", ex=WATCH_EXPIRES_SECONDS)
            pipe.publish(WATCH_CHANNEL, encoder.encode({"topics": sorted(topics), "watched": True}))
            pipe.execute()


def wake_run(run_code: str) -> None:
    """Tell the link server that commands wait for this run, or that its attempt changed."""
    after_commit(WAKE_CHANNEL + run_code, {"run": run_code})


def after_commit(channel: str, message: dict[str, Any]) -> None:
    # A viewer who reads the database on a message must find there what the message tells of.
    transaction.on_commit(lambda: send(channel, message))


def send(channel: str, message: dict[str, Any]) -> None:
    with to_broker() as broker:
        if broker is not None:
            broker.publish(channel, encoder.encode(message))


def send_all(messages: Sequence[tuple[str, dict[str, Any]]]) -> None:
    for start in range(0, len(messages), MANY):
        with to_broker() as broker:
            if broker is not None:
                pipe = broker.pipeline(transaction=False)
                for channel, message in messages[start : start + MANY]:
                    pipe.publish(channel, encoder.encode(message))
                pipe.execute()


@contextmanager
def to_broker() -> Iterator[redis.Redis | None]:
    """None while it is away."""
    if outage.recent():
        yield None
        return
    try:
        yield client()
    except (redis.RedisError, OSError) as error:
        outage.note(error)
    else:
        if outage.failed_at is not None:
            outage.note(None)
