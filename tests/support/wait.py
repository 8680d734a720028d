"""Waits for a condition instead of sleeping for a guess."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connections

T = TypeVar("T")
# A machine that does other work beside the tests is several times slower than an idle one, and a wait that ends well
# costs nothing. Where "within so many seconds" is the promise itself, a test compares times that the site noted.
PATIENCE = 4
# The same for one frame that must come.
PATIENCE_SECONDS = 10.0 * PATIENCE


def until(condition: Callable[[], T], timeout: float = 10, every: float = 0.02) -> T:
    """The first true result of `condition`, which an idle machine gives within `timeout` seconds, or a failure."""
    end = time.monotonic() + timeout * PATIENCE
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout * PATIENCE} s: {condition}")
        time.sleep(every)
    return result


async def db(work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Database work of a test that runs on an event loop: in a thread that leaves no connection behind."""

    def call() -> T:
        try:
            return work(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.to_thread(call)


async def until_async(condition: Callable[[], T], timeout: float = 10, every: float = 0.02) -> T:
    """The same for a condition that must not run on the event loop (it reads the database)."""
    return await db(until, condition, timeout, every)
