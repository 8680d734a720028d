"""Lets the points of old chunks go and keeps their roll-ups, by a rule for each kind of source.

The finest roll-up stays: some 128 points a bucket, with least, greatest, mean, last and counts of NaN and infinities.
A chunk that is too short to have roll-ups stays as it is. Reads and exports say where points are gone.
"""

import time
from collections import Counter
from typing import Any

from django.conf import settings
from django.db import connections, transaction

from . import axes, chunks
from .compact import give_back_space
from .writer import lock_source

CHUNKS_AT_ONCE = 100
DAY = 86_400.0


def age(limit_seconds: float = 5.0, now: float | None = None) -> int:
    """Let go of the points that are older than `settings.KEEP_FINE_DAYS` says, for about so long.

    Returns the number of chunks. Each transaction takes some chunks of one source: the writer waits for one at most.
    """
    deadline = time.monotonic() + limit_seconds
    now = time.time() if now is None else now
    done = 0
    for kind, days in settings.KEEP_FINE_DAYS.items():
        if not days:
            continue  # for ever
        for source, ids in old_chunks(kind, now - days * DAY).items():
            for first in range(0, len(ids), CHUNKS_AT_ONCE):
                if time.monotonic() > deadline:
                    return done
                done += let_go(source, ids[first : first + CHUNKS_AT_ONCE])
    if done:
        give_back_space()
    return done


def old_chunks(kind: str, before: float) -> dict[str, list[int]]:
    """Chunks of this kind of source that have points and roll-ups, and end before this time, by source."""
    found: dict[str, list[int]] = {}
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute(
            "SELECT k.source, c.id FROM monitoring_serieskey k "
            "JOIN monitoring_serieschunk c ON c.series_id = k.id "
            "JOIN monitoring_seriesrollup r ON r.id = c.id "
            "WHERE substr(k.source, 1, %s) = %s AND c.last_time < %s AND length(c.columns) > 0 ORDER BY c.id",
            [len(kind) + 1, f"{kind}:", before],
        )
        for source, number in cursor.fetchall():
            found.setdefault(source, []).append(number)
    return found


def let_go(source: str, ids: list[int]) -> int:
    """Take the points of these chunks away; a chunk that is gone or empty by now is passed over."""
    alias = settings.SERIES_DATABASE
    marks = ", ".join(["%s"] * len(ids))
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        lock_source(cursor, connections[alias].vendor, source)
        cursor.execute(
            f"SELECT id, substr(columns, 1, {chunks.SHARED_HEAD.size}) FROM monitoring_serieschunk "  # noqa: S608
            f"WHERE id IN ({marks}) AND length(columns) > 0",
            ids,
        )
        heads: list[tuple[int, bytes]] = [(number, bytes(head)) for number, head in cursor.fetchall()]
        nothing: list[Any] = [(b"", number) for number, _ in heads]
        cursor.executemany("UPDATE monitoring_serieschunk SET columns = %s WHERE id = %s", nothing)
        used = [chunks.axis_of(head) for _, head in heads]
        axes.release(cursor, Counter(axis for axis in used if axis is not None))
    return len(heads)
