"""Waits for a condition instead of sleeping for a guess."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connections

T = TypeVar("T")


def until(condition: Callable[[], T], timeout: float = 10, every: float = 0.02) -> T:
    """The first true result of `condition`. Fails the test after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {condition}")
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
