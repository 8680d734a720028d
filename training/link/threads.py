"""The few threads that do the link's database work, off the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import close_old_connections, connection, connections

Result = TypeVar("Result")
# SQLite has one writer at a time and an unfair lock: a queue of our own is faster than four that race.
SQLITE_THREADS = 1
SERVER_THREADS = 8


class OrmThreads:
    def __init__(self) -> None:
        self.pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        if self.pool is None:
            count = SQLITE_THREADS if connection.vendor == "sqlite" else SERVER_THREADS
            self.pool = ThreadPoolExecutor(count, thread_name_prefix="link-orm")

    async def run(self, work: Callable[..., Result], *args: Any) -> Result:
        """`work(*args)` in one of the threads."""
        self.start()
        assert self.pool is not None
        return await asyncio.get_running_loop().run_in_executor(self.pool, tidy, work, args)

    async def stop(self) -> None:
        pool, self.pool = self.pool, None
        if pool is not None:
            await asyncio.get_running_loop().run_in_executor(pool, connections.close_all)
            await asyncio.to_thread(pool.shutdown)


def tidy(work: Callable[..., Result], args: tuple[Any, ...]) -> Result:
    try:
        return work(*args)
    finally:
        release()


def release() -> None:
    if connection.vendor == "sqlite":
        # Opening a file anew for each call costs more than the call: close broken connections alone.
        for each in connections.all(initialized_only=True):
            if each.errors_occurred:
                each.close_if_unusable_or_obsolete()
    else:
        close_old_connections()
