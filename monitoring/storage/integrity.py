"""Finds what is broken in the store, and mends what can be worked out again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connections, transaction

from . import chunks, figures, rollups
from .batches import Points
from .figures import KeyInfo


@dataclass(frozen=True)
class Problem:
    """chunk: its id, None for a fault of the key's figures. mended: whether `check` put it right."""

    source: str
    key: str
    chunk: int | None
    message: str
    mended: bool = False


def check(repair: bool = False) -> list[Problem]:
    """Read every chunk; with `repair`, rebuild roll-ups and figures from points that are good.

    A chunk whose columns are torn stays where it is: reads leave it out, and nothing good is deleted.
    """
    problems: list[Problem] = []
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute("SELECT id, source, key, figures FROM monitoring_serieskey ORDER BY id")
        rows = cursor.fetchall()
    for series, source, key, known in rows:
        problems += check_key(series, source, key, known, repair)
    return problems


def check_key(series: int, source: str, key: str, known: Any, repair: bool) -> Iterator[Problem]:
    old = figures.from_json(key, known if isinstance(known, dict) else json.loads(known))
    total: KeyInfo | None = None
    torn = False
    for number, branch, count, columns, rolled in chunks_of(series):
        try:
            points = Points(*chunks.decode(columns))
        except chunks.TornChunk as error:
            torn = True
            yield Problem(source, key, number, f"columns: {error}")
            continue
        if points.size != count:
            yield Problem(source, key, number, f"{points.size} points; its row says {count}")
        info = figures.of_points(key, branch, points)
        total = info if total is None else figures.join(total, info)
        wanted = rollups.encode(rollups.levels_of(*points))
        if wanted != rolled:
            if repair:
                run("UPDATE monitoring_serieschunk SET rollups = %s WHERE id = %s", [wanted, number])
            yield Problem(source, key, number, "roll-ups differ from the points", repair)
    if total is not None and not torn and total.points != old.points:
        if repair:
            run(
                "UPDATE monitoring_serieskey SET figures = %s WHERE id = %s",
                [json.dumps(figures.as_json(total)), series],
            )
        yield Problem(
            source, key, None, f"figures count {old.points} points, chunks hold {total.points}", repair
        )


def chunks_of(series: int) -> Iterator[tuple[int, int, int, bytes, bytes]]:
    """(id, branch, points, columns, rollups), one at a time: a series may be larger than memory."""
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute("SELECT id FROM monitoring_serieschunk WHERE series_id = %s ORDER BY id", [series])
        ids = [row[0] for row in cursor.fetchall()]
        for number in ids:
            cursor.execute(
                "SELECT branch, points, columns, rollups FROM monitoring_serieschunk WHERE id = %s", [number]
            )
            row = cursor.fetchone()
            if row is not None:
                yield number, row[0], row[1], bytes(row[2]), bytes(row[3])


def run(sql: str, parameters: list[Any]) -> None:
    alias = settings.SERIES_DATABASE
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(sql, parameters)
