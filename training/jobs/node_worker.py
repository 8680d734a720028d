"""Turns a Celery worker that consumes `node.<name>` into that node: the loop begins and ends with it."""

import logging
import threading
from typing import Any

from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings

from .agent import AgentKeeper
from .node_loop import NodeLoop

logger = logging.getLogger(__name__)
PREFIX = "node."
loop: NodeLoop | None = None
thread: threading.Thread | None = None


@worker_ready.connect
def on_ready(sender: Any, **_: Any) -> None:
    """sender: the worker's consumer."""
    global loop, thread
    names = [
        queue[len(PREFIX) :] for queue in sender.app.amqp.queues.consume_from if queue.startswith(PREFIX)
    ]
    if not names:
        return
    if len(names) > 1:
        logger.error(
            "a worker is one node; it consumes the queues of %s. The first one counts", ", ".join(names)
        )
    loop = NodeLoop(names[0], AgentKeeper())
    thread = threading.Thread(target=loop.run, name="node-loop", daemon=True)
    thread.start()
    logger.info("node %s is at work", names[0])


@worker_shutting_down.connect
def on_shutting_down(**_: Any) -> None:
    """SCALEWEB_STOP_JOBS=1 (the one-machine stack, containers): what runs ends too, and goes on at the next start."""
    if loop is not None:
        loop.close(stop_jobs=settings.STOP_JOBS)
