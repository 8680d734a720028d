"""Gathers log lines: a batch's lines are one row as they come, and that would stay so for ever.

Neighbouring rows of a source become one of about a thousand lines, compressed. As with points, all the work is done
before one short transaction, which gives way when a row that it replaces is gone.
"""

import logging
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connections, transaction

from .compact import Overtaken, remove
from .logs import TornLines, pack_gathered, unpack
from .models import CHUNK_BYTES, CHUNK_LINES
from .writer import lock_source

logger = logging.getLogger(__name__)
FEWEST_ROWS = 20
# What a run wrote last before it fell silent is gathered too.
SILENT_SECONDS = 3600.0
ROWS_AT_ONCE = 1000
# As the index `small_logs` has them, word for word, so that this index alone is read.
SMALL = f"lines < {CHUNK_LINES} AND LENGTH(body) < {CHUNK_BYTES}"


class Row(NamedTuple):
    id: int
    first_line: int
    lines: int
    at: float


def gather(limit_seconds: float = 2.0) -> int:
    """Gather the lines of sources with many small rows, for about so long; how many fewer rows there are."""
    deadline = time.monotonic() + limit_seconds
    gone = 0
    for source in waiting_sources():
        if time.monotonic() > deadline:
            break
        try:
            gone += gather_some(source)
        except (Overtaken, TornLines) as reason:
            logger.info("the log lines of %s were not gathered: %s", source, reason)
    return gone


def waiting_sources() -> list[str]:
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute(
            f"SELECT source FROM monitoring_logchunk WHERE {SMALL} "  # noqa: S608
            "GROUP BY source HAVING COUNT(*) >= %s OR (COUNT(*) > 1 AND MAX(at) < %s)",
            [FEWEST_ROWS, time.time() - SILENT_SECONDS],
        )
        return [row[0] for row in cursor.fetchall()]


def gather_some(source: str) -> int:
    """Gather the oldest small rows of a source; how many fewer there are. Raises Overtaken, TornLines."""
    alias = settings.SERIES_DATABASE
    with connections[alias].cursor() as cursor:
        cursor.execute(
            f"SELECT id, first_line, lines, at FROM monitoring_logchunk WHERE source = %s AND {SMALL} "  # noqa: S608
            "ORDER BY first_line LIMIT %s",
            [source, ROWS_AT_ONCE],
        )
        rows = [Row(*row) for row in cursor.fetchall()]
        groups = [group for group in neighbours(rows) if len(group) > 1]
        made = [(group, joined(cursor, group)) for group in groups]
    if not made:
        return 0
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        lock_source(cursor, connections[alias].vendor, source)
        remove(cursor, "monitoring_logchunk", [row.id for group in groups for row in group])
        cursor.executemany(
            "INSERT INTO monitoring_logchunk (source, first_line, lines, at, body) VALUES (%s, %s, %s, %s, %s)",
            [
                (source, group[0].first_line, sum(row.lines for row in group), group[-1].at, body)
                for group, body in made
            ],
        )
    return sum(len(group) - 1 for group in groups)


def neighbours(rows: list[Row]) -> Iterator[list[Row]]:
    """The rows in order, parted where a row that is no longer small lies between, and where there are enough."""
    group: list[Row] = []
    for row in rows:
        if group and (
            group[-1].first_line + group[-1].lines != row.first_line
            or sum(each.lines for each in group) >= CHUNK_LINES
        ):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def joined(cursor: Any, group: list[Row]) -> bytes:
    lines: list[tuple[float, str, str]] = []
    for row in group:
        cursor.execute("SELECT body FROM monitoring_logchunk WHERE id = %s", [row.id])
        found = cursor.fetchone()
        if found is None:
            raise Overtaken(f"row {row.id} is gone")
        lines += unpack(bytes(found[0]))
    return pack_gathered(lines)
