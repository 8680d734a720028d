"""Who does the site's own work: its Celery workers, asked now.

Without beat or the control worker nothing is placed and nothing is judged, and every page looks as it did before.
"""

import os
import platform
from datetime import datetime
from typing import Any

from celery import current_app
from celery.worker.control import inspect_command
from celery.worker.state import active_requests, total_count
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from monitoring.live.refused import why

from . import ticks
from .ticks import CONTROL, BrokerAway, Tick

# How long a worker is waited for; one that is busy answers all the same.
ANSWER_SECONDS = 1.0


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
        raise BrokerAway(why(error)) from None
    said = {name: told for answer in answers or [] for name, told in answer.items()}
    return [{"name": name, **told} for name, told in sorted(said.items()) if "queues" in told]


def wrong(found: list[dict[str, Any]], rows: list[Tick], waiting: int, now: datetime) -> list[str]:
    """What an operator has to see to, in sentences; nothing where all is well. waiting: as `ticks.read` tells it."""
    sentences = []
    if not any(CONTROL in worker["queues"] for worker in found):
        sentences.append(
            f"No worker takes the queue {CONTROL}: nothing is placed, judged or compacted. Start one: "
            f"celery -A scaleweb worker -Q {CONTROL}."
        )
    late = [tick for tick in rows if tick.late(now)]
    if late:
        first = next((tick for task in ticks.VITAL for tick in late if tick.task == task), late[0])
        sentences.append(ticks.sentence(first, rows, waiting, now))
    if len(late) > 1:
        more = len(late) - 1
        sentences.append(f"{more} other tick{' is' if more == 1 else 's are'} late.")
    return sentences


def told(now: datetime) -> dict[str, Any]:
    """Workers, ticks and what is wrong, for every page and command that shows them."""
    try:
        found = workers()
        rows, waiting = ticks.read()
    except BrokerAway as error:
        away = f"{error}, so nobody can be asked."
        return {"workers": [], "ticks": [], "wrong": [away[0].upper() + away[1:]]}
    return {"workers": found, "ticks": rows, "wrong": wrong(found, rows, waiting, now)}
