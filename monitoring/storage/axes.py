"""Steps and times that chunks of several keys share: found, kept while a chunk uses them, removed with the last."""

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import connections

from . import chunks
from .batches import Floats, Ints

logger = logging.getLogger(__name__)
Axis = tuple[Ints, Floats]
AT_ONCE = 500


def load(blobs: Iterable[bytes]) -> dict[int, Axis]:
    """The axes that these chunks name, decoded once each. A torn one is left out and said in the log."""
    return fetch({number for blob in blobs if (number := chunks.axis_of(blob)) is not None})


def fetch(wanted: set[int]) -> dict[int, Axis]:
    found: dict[int, Axis] = {}
    ids = sorted(wanted)
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        for first in range(0, len(ids), AT_ONCE):
            some = ids[first : first + AT_ONCE]
            marks = ", ".join(["%s"] * len(some))
            cursor.execute(f"SELECT id, body FROM monitoring_seriesaxis WHERE id IN ({marks})", some)  # noqa: S608
            for number, body in cursor.fetchall():
                try:
                    found[number] = chunks.decode_axis(bytes(body))
                except chunks.TornChunk as error:
                    logger.error("axis %d cannot be read: %s; run manage.py series check", number, error)
    return found


def of(blob: bytes, known: dict[int, Axis]) -> Axis | None:
    """The axis of a chunk, None where it has none or its is missing."""
    number = chunks.axis_of(blob)
    return None if number is None else known.get(number)


def store(cursor: Any, source: str, body: bytes, users: int) -> int:
    """Keep an axis; its id."""
    cursor.execute(
        "INSERT INTO monitoring_seriesaxis (source, users, body) VALUES (%s, %s, %s) RETURNING id",
        [source, users, body],
    )
    return int(cursor.fetchone()[0])


def release(cursor: Any, users: Counter[int]) -> None:
    """Take this many users from each axis; one without any is removed."""
    cursor.executemany(
        "UPDATE monitoring_seriesaxis SET users = users - %s WHERE id = %s",
        [(count, number) for number, count in users.items()],
    )
    cursor.executemany(
        "DELETE FROM monitoring_seriesaxis WHERE id = %s AND users <= 0", [(number,) for number in users]
    )
