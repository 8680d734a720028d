"""Tells every web process what happened, through one plain publish on the broker.

A message here may be lost (the broker may be down): every reader can get the same from the database.
"""

import logging
import time
from functools import cache

import msgspec
import redis
from django.conf import settings

logger = logging.getLogger(__name__)
LIVE_CHANNEL = "sw:live:"  # + topic, for browsers
WAKE_CHANNEL = "sw:wake:"  # + run code, for the link server: commands are waiting
encoder = msgspec.json.Encoder()


@cache
def client() -> redis.Redis:
    # Short time-outs: a dead broker must not hold up a state change.
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def publish_change(topic: str, what: str, data: dict) -> None:
    """Tell the viewers of `topic` that `what` changed: run, tunable, command, decision, checkpoint, job, node."""
    send(LIVE_CHANNEL + topic, {"type": "changed", "what": what, "at": time.time(), "data": data})


def wake_run(run_code: str) -> None:
    """Tell the link server that commands wait for this run."""
    send(WAKE_CHANNEL + run_code, {"run": run_code})


def send(channel: str, message: dict) -> None:
    try:
        client().publish(channel, encoder.encode(message))
    except redis.RedisError as error:
        logger.warning("not published to %s: %s", channel, error)
