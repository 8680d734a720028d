"""Waits for a condition instead of sleeping for a guess."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], timeout: float = 10, every: float = 0.02) -> T:
    """The first true result of `condition`. Fails the test after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {condition}")
        time.sleep(every)
    return result


async def until_async(condition: Callable[[], T], timeout: float = 10, every: float = 0.02) -> T:
    """The same for a condition that must not run on the event loop (it reads the database)."""
    return await asyncio.to_thread(until, condition, timeout, every)
