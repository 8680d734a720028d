"""Finds lines in a log of any length: by what they say, by their level, by the moment they were written."""

import re
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connections

from .logs import lines_of

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
LEVEL_WITHIN = 200  # characters of a line: further on the word is a part of what is said
LEVELS = {
    "debug": re.compile(r"\b(?:DEBUG|TRACE|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b"),
    "info": re.compile(r"\b(?:INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b"),
    "warning": re.compile(r"\b(?:WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b|\b\w*Warning:|^Traceback \(most"),
    "error": re.compile(r"\b(?:ERROR|CRITICAL|FATAL)\b|^\w*(?:Error|Exception)\b|^Traceback \(most"),
}
ROWS_AT_ONCE = 20


@dataclass(frozen=True)
class Hits:
    """lines: (number, seconds since the epoch, stream, text), in their order. before: where to look on."""

    lines: list[tuple[int, float, str, str]]
    total: int
    before: int | None


def find(
    source: str, words: str, level: str, *, before: int | None, count: int, limit_seconds: float = 2.0
) -> Hits:
    """The newest `count` lines with these words, whatever their case, and of this level or above, before a line.

    It looks for about so long: what it has not come to is behind `before`.
    """
    deadline = time.monotonic() + limit_seconds
    lowered, pattern = words.lower(), LEVELS.get(level)
    found: list[tuple[int, float, str, str]] = []
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute(
            "SELECT first_line + lines FROM monitoring_logchunk WHERE source = %s ORDER BY first_line DESC LIMIT 1",
            [source],
        )
        row = cursor.fetchone()
        total = int(row[0]) if row else 0
        at = total if before is None else min(before, total)
        while at > 0:
            cursor.execute(
                "SELECT first_line, lines, body FROM monitoring_logchunk WHERE source = %s AND first_line < %s "
                "ORDER BY first_line DESC LIMIT %s",
                [source, at, ROWS_AT_ONCE],
            )
            rows = cursor.fetchall()
            if not rows:
                at = 0
            for first, number, body in rows:
                lines = lines_of(source, first, number, bytes(body))
                hits = [
                    (first + place, *line)
                    for place, line in enumerate(lines[: at - first])
                    if fits(line[2], lowered, pattern)
                ]
                found[:0] = hits
                at = first
                if len(found) >= count or time.monotonic() > deadline:
                    break
            if len(found) >= count or time.monotonic() > deadline:
                break
    if len(found) > count:
        found = found[-count:]
        at = found[0][0]
    return Hits(found, total, at or None)


def fits(text: str, lowered: str, pattern: re.Pattern[str] | None) -> bool:
    bare = ESCAPES.sub("", text) if "\x1b" in text else text  # a colour in the middle of a word parts it
    if lowered and lowered not in bare.lower():
        return False
    if pattern is None:
        return True
    return pattern.search(bare[:LEVEL_WITHIN]) is not None


def line_at(source: str, moment: float) -> int:
    """The number of the first line that was written at this time or later; that of the last one for a later time."""
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute(
            "SELECT first_line, lines FROM monitoring_logchunk WHERE source = %s ORDER BY first_line",
            [source],
        )
        rows: list[tuple[int, int]] = cursor.fetchall()
        if not rows:
            return 0
        low, high = 0, len(rows) - 1
        while low < high:  # the first row whose last line is not before the moment
            middle = (low + high) // 2
            if lines_in(cursor, source, rows[middle])[-1][0] < moment:
                low = middle + 1
            else:
                high = middle
        first = rows[low][0]
        for place, line in enumerate(lines_in(cursor, source, rows[low])):
            if line[0] >= moment:
                return first + place
        return first + rows[low][1] - 1


def lines_in(cursor: Any, source: str, row: tuple[int, int]) -> list[tuple[float, str, str]]:
    first, number = row
    cursor.execute(
        "SELECT body FROM monitoring_logchunk WHERE source = %s AND first_line = %s AND lines = %s",
        [source, first, number],
    )
    found = cursor.fetchone()
    # Gathered into a larger row just now: then this is near enough.
    return lines_of(source, first, number, bytes(found[0])) if found else [(0.0, "", "")]
