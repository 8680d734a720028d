"""Log lines of a source, in the order they came, numbered from 0."""

import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from django.conf import settings
from django.db import connections

from scaleweb_sdk.protocol import Batch, LogLine

logger = logging.getLogger(__name__)
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(list[tuple[float, str, str]]).decode
SEARCH_LIMIT = 5000
# A zlib stream begins with it, and no list in msgpack does.
COMPRESSED = b"\x78"


@dataclass(frozen=True)
class LogPage:
    """lines: (seconds since the epoch, stream, text). first_line: the number of the first; total: of all lines.

    A search's lines are those that contain the text, and first_line is the number of the first found.
    """

    first_line: int
    lines: list[tuple[float, str, str]]
    total: int


def pack_lines(lines: Sequence[LogLine]) -> bytes:
    return encode([(line.time, line.stream, line.text.replace("\x00", "\ufffd")) for line in lines])


class TornLines(ValueError):
    """A row's bytes are not log lines."""


def pack_gathered(lines: Sequence[tuple[float, str, str]]) -> bytes:
    """Lines of many batches, compressed."""
    return zlib.compress(encode(lines), 6)


def unpack(body: bytes) -> list[tuple[float, str, str]]:
    """The lines of a row, gathered or as a batch brought them. Raises TornLines."""
    try:
        return decode(zlib.decompress(body) if body.startswith(COMPRESSED) else body)
    except (zlib.error, msgspec.DecodeError) as error:
        raise TornLines(str(error)) from None


def lines_of(source: str, first: int, count: int, body: bytes) -> list[tuple[float, str, str]]:
    """The same for a reader: a torn row has as many lines as it had, which say so."""
    try:
        return unpack(body)
    except TornLines as error:
        logger.error("lines %d to %d of %s are torn: %s", first, first + count - 1, source, error)
        return [(0.0, "stderr", "(this line is damaged in the store)")] * count


def append(source: str, session: str, seq: int, lines: Sequence[LogLine]) -> int:
    """Store lines as a batch of their own; see `series.append`."""
    from .writer import append as append_batches

    return append_batches(source, session, [Batch(seq=seq, lines=list(lines))])


def read(source: str, *, start: int | None = None, count: int = 500, search: str = "") -> LogPage:
    """Lines from number `start` on, the last `-start` for a negative one, all from 0 for None.

    search: only lines that contain this text, whatever the case, the newest SEARCH_LIMIT of them at most.
    """
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute(
            "SELECT first_line + lines FROM monitoring_logchunk WHERE source = %s ORDER BY first_line DESC LIMIT 1",
            [source],
        )
        row = cursor.fetchone()
        total = row[0] if row else 0
        if search:
            return find(cursor, source, search.lower(), min(count, SEARCH_LIMIT), total)
        first = max(0, total + start) if start is not None and start < 0 else min(start or 0, total)
        cursor.execute(
            "SELECT first_line, lines, body FROM monitoring_logchunk "
            "WHERE source = %s AND first_line < %s AND first_line + lines > %s ORDER BY first_line",
            [source, first + count, first],
        )
        lines: list[tuple[float, str, str]] = []
        for chunk_first, number, body in cursor.fetchall():
            found = lines_of(source, chunk_first, number, bytes(body))
            lines += found[max(0, first - chunk_first) : first + count - chunk_first]
    return LogPage(first, lines, total)


def find(cursor, source: str, words: str, count: int, total: int) -> LogPage:
    cursor.execute(
        "SELECT first_line, lines, body FROM monitoring_logchunk WHERE source = %s ORDER BY first_line DESC",
        [source],
    )
    found: list[tuple[int, tuple[float, str, str]]] = []
    while len(found) < count and (rows := cursor.fetchmany(50)):
        for first, number, body in rows:
            lines = lines_of(source, first, number, bytes(body))
            hits = [(first + at, line) for at, line in enumerate(lines) if words in line[2].lower()]
            found = hits + found
    kept = found[-count:]
    return LogPage(kept[0][0] if kept else 0, [line for _, line in kept], total)
