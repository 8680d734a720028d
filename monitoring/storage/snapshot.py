"""Several queries that see one state of the store: what is compacted between them is neither missed nor doubled."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connections

BEGIN = {"sqlite": "BEGIN DEFERRED", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}


@contextmanager
def snapshot() -> Iterator[None]:
    """Reads inside see the state at the first of them. It takes no lock: writers go on.

    Django's `atomic` would take SQLite's write lock (settings say IMMEDIATE, for its writers). Inside a
    transaction that is open already this does nothing.
    """
    connection = connections[settings.SERIES_DATABASE]
    if connection.in_atomic_block or getattr(connection, "in_snapshot", False):
        yield
        return
    connection.ensure_connection()
    connection.in_snapshot = True  # type: ignore[attr-defined]
    try:
        with connection.cursor() as cursor:
            cursor.execute(BEGIN[connection.vendor])
        yield
    finally:
        connection.in_snapshot = False  # type: ignore[attr-defined]
        if connection.connection is not None:
            with connection.cursor() as cursor:
                cursor.execute("ROLLBACK")
