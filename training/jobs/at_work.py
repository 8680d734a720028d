"""Who does the site's own work: its Celery workers, and when each tick of the beat was last done.

Without beat or the control worker nothing is placed and nothing is judged, and every page looks as it did before.
"""

import logging
import os
import platform
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from celery import current_app
from celery.signals import task_postrun
from celery.worker.control import inspect_command
from celery.worker.state import active_requests, total_count
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from monitoring.live.publish import client

logger = logging.getLogger(__name__)
KEY = "sw:ticks"
# How long a worker is waited for; one that is busy answers all the same.
ANSWER_SECONDS = 1.0
CONTROL = "control"
# Late: so many times its interval, and a moment for a tick that takes long.
LATE_INTERVALS, LATE_SECONDS = 3.0, 15.0


class BrokerAway(Exception):
    """Nobody can be asked; the message says why."""


@dataclass(frozen=True)
class Tick:
    """task: its name. every: seconds between two. at: when it was last done; None where nobody knows."""

    task: str
    every: float
    at: datetime | None

    def late(self, now: datetime) -> bool:
        if self.at is None:
            return False
        return (now - self.at).total_seconds() > LATE_INTERVALS * self.every + LATE_SECONDS


@task_postrun.connect
def done(task: Any = None, state: str = "", **_: Any) -> None:
    """In the worker that did it. A broker that is away is another's to tell."""
    if state != "SUCCESS" or task is None or task.name not in intervals():
        return
    try:
        client().hset(KEY, task.name, str(time.time()))
    except (RedisError, OSError):
        logger.debug("that %s was done could not be noted", task.name)


def intervals() -> dict[str, float]:
    beat: dict[str, dict[str, Any]] = settings.CELERY_BEAT_SCHEDULE
    return {entry["task"]: float(entry["schedule"]) for entry in beat.values()}


def ticks() -> list[Tick]:
    """Every tick of the beat, the most frequent first. Raises BrokerAway."""
    try:
        told: dict[Any, Any] = client().hgetall(KEY)
    except (RedisError, OSError) as error:
        raise BrokerAway(str(error)) from None
    at = {name.decode(): datetime.fromtimestamp(float(seconds), UTC) for name, seconds in told.items()}
    rows = [Tick(task, every, at.get(task)) for task, every in intervals().items()]
    return sorted(rows, key=lambda tick: (tick.every, tick.task))


@inspect_command()
def scaleweb_work(state: Any) -> dict[str, Any]:
    """What a worker says of itself; it runs there."""
    consumer = state.consumer
    return {
        "hostname": platform.node(),
        "pid": os.getpid(),
        "queues": sorted(queue.name for queue in consumer.task_consumer.queues),
        "running": sorted(request.name for request in active_requests),
        "done": sum(total_count.values()),
        "uptime_seconds": int(consumer.controller.stats()["uptime"]),
    }


def workers() -> list[dict[str, Any]]:
    """Those that answer within ANSWER_SECONDS, by name. Raises BrokerAway."""
    try:
        answers = current_app.control.broadcast("scaleweb_work", reply=True, timeout=ANSWER_SECONDS)
    except (OperationalError, RedisError, OSError) as error:
        raise BrokerAway(str(error)) from None
    said = {name: told for answer in answers or [] for name, told in answer.items()}
    return [{"name": name, **told} for name, told in sorted(said.items()) if "queues" in told]


def wrong(found: list[dict[str, Any]], rows: list[Tick], now: datetime) -> list[str]:
    """What an operator has to see to, in sentences; nothing where all is well."""
    sentences = []
    if not any(CONTROL in worker["queues"] for worker in found):
        sentences.append(
            f"No worker takes the queue {CONTROL}: nothing is placed, judged or compacted. Start one: "
            f"celery -A scaleweb worker -Q {CONTROL}."
        )
    late = [tick for tick in rows if tick.late(now)]
    if late:
        worst = late[0]
        assert worst.at is not None
        more = f", and {len(late) - 1} other ticks are late" if len(late) > 1 else ""
        sentences.append(
            f"{worst.task} is due every {worst.every:g} s and was last done {(now - worst.at).total_seconds():.0f} s "
            f"ago{more}: look whether beat runs, and what the log of the worker of {CONTROL} says."
        )
    return sentences
