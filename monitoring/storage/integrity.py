"""Finds what is broken in the store, and mends what can be worked out again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connections, transaction

from . import axes, chunks, figures, levels, rollups
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
    incomplete = False  # points are gone, by age or torn: figures cannot be worked out from the rest
    known_axes: dict[int, axes.Axis] = {}
    for number, branch, count, columns, rolled in chunks_of(series):
        if not columns:
            incomplete = True
            fault = fault_of_aged(rolled, count)
            if fault:
                yield Problem(source, key, number, fault)
            continue
        axis = chunks.axis_of(columns)
        if axis is not None and axis not in known_axes:
            known_axes = axes.fetch({axis})  # the last one alone: a series may be larger than memory
        try:
            points = Points(*chunks.decode(columns, axes.of(columns, known_axes)))
        except chunks.TornChunk as error:
            incomplete = True
            yield Problem(source, key, number, f"columns: {error}")
            continue
        if points.size != count:
            yield Problem(source, key, number, f"{points.size} points; its row says {count}")
        info = figures.of_points(key, branch, points)
        total = info if total is None else figures.join(total, info)
        fault = fault_of_rollups(rolled, points)
        if fault:
            if repair:
                wanted = levels.encode(rollups.levels_of(*points))
                run(
                    "INSERT INTO monitoring_seriesrollup (id, body) VALUES (%s, %s) "
                    "ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                    [number, wanted],
                )
            yield Problem(source, key, number, fault, repair)
    if total is not None and not incomplete and total.points != old.points:
        if repair:
            run(
                "UPDATE monitoring_serieskey SET figures = %s WHERE id = %s",
                [json.dumps(figures.as_json(total)), series],
            )
        yield Problem(
            source, key, None, f"figures count {old.points} points, chunks hold {total.points}", repair
        )


def fault_of_rollups(rolled: bytes, points: Points) -> str:
    """What is wrong with a chunk's roll-ups, in words; empty for nothing.

    Which levels there are is not judged: older chunks have finer ones.
    """
    try:
        stored = [levels.decode(rolled, offset) for _, offset in levels.widths(rolled)]
    except chunks.TornChunk as error:
        return f"roll-ups: {error}"
    if not stored and rollups.levels_of(*points):
        return "its roll-ups are missing"
    for rows in stored:
        if not rollups.agree(rows, rollups.of_points(*points, rows.k)):
            return f"roll-ups of 2^{rows.k} steps differ from the points"
    return ""


def fault_of_aged(rolled: bytes, count: int) -> str:
    """What is wrong with the roll-ups of a chunk whose points retention took; nothing can mend it."""
    try:
        stored = [levels.decode(rolled, offset) for _, offset in levels.widths(rolled)]
    except chunks.TornChunk as error:
        return f"roll-ups: {error}"
    if not stored:
        return "neither points nor roll-ups are left"
    for rows in stored:
        if int(rows.count.sum()) != count:
            return f"roll-ups of 2^{rows.k} steps count {int(rows.count.sum())} points; its row says {count}"
    return ""


def chunks_of(series: int) -> Iterator[tuple[int, int, int, bytes, bytes]]:
    """(id, branch, points, columns, rollups), one at a time: a series may be larger than memory."""
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute("SELECT id FROM monitoring_serieschunk WHERE series_id = %s ORDER BY id", [series])
        ids = [row[0] for row in cursor.fetchall()]
        for number in ids:
            cursor.execute(
                "SELECT c.branch, c.points, c.columns, r.body FROM monitoring_serieschunk c "
                "LEFT JOIN monitoring_seriesrollup r ON r.id = c.id WHERE c.id = %s",
                [number],
            )
            row = cursor.fetchone()
            if row is not None:
                yield number, row[0], row[1], bytes(row[2]), bytes(row[3] or b"")


def run(sql: str, parameters: list[Any]) -> None:
    alias = settings.SERIES_DATABASE
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(sql, parameters)
