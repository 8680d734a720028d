"""Finds what is broken in the store, and mends what can be worked out again."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connections, transaction

from . import axes, chunks, figures, levels, rollups
from .batches import Points
from .figures import KeyInfo
from .snapshot import snapshot
from .writer import lock_source


@dataclass(frozen=True)
class Problem:
    """chunk: its id, None for a fault of the key's figures; key: empty for a fault of a source's axes or roll-ups.

    mended: whether `check` put it right.
    """

    source: str
    key: str
    chunk: int | None
    message: str
    mended: bool = False


@dataclass(frozen=True)
class Fault:
    """A problem that is found, and what would mend it: a function that says whether it did. None: nothing can."""

    problem: Problem
    mend: Callable[[], bool] | None = None


def check(repair: bool = False) -> list[Problem]:
    """Read every chunk; with `repair`, rebuild roll-ups, figures and counts from points that are good.

    A chunk whose columns are torn stays where it is: reads leave it out, and nothing good is deleted. The site may
    go on meanwhile: a key is looked at in one snapshot, and what changed since is not mended.
    """
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute("SELECT id, source, key FROM monitoring_serieskey ORDER BY id")
        keys = cursor.fetchall()
        cursor.execute("SELECT DISTINCT source FROM monitoring_seriesaxis ORDER BY source")
        sources = [row[0] for row in cursor.fetchall()]
    looks: list[Callable[[], Iterable[Fault]]] = [
        *(partial(faults_of_key, *key) for key in keys),
        *(partial(faults_of_axes, source) for source in sources),
        faults_of_left_rollups,
    ]
    problems = []
    for look in looks:
        with snapshot():
            found = list(look())
        for fault in found:
            mended = repair and fault.mend is not None and fault.mend()
            problems.append(replace(fault.problem, mended=mended))
    return problems


def faults_of_key(series: int, source: str, key: str) -> Iterator[Fault]:
    known = figures_of(series)
    if known is None:
        return  # deleted meanwhile
    old = figures.from_json(key, known)
    total: KeyInfo | None = None
    incomplete = False  # points are gone, by age or torn: figures cannot be worked out from the rest
    known_axes: dict[int, axes.Axis] = {}
    for number, branch, count, columns, rolled in chunks_of(series):
        if not columns:
            incomplete = True
            message = fault_of_aged(rolled, count)
            if message:
                yield Fault(Problem(source, key, number, message))
            continue
        axis = chunks.axis_of(columns)
        if axis is not None and axis not in known_axes:
            known_axes = axes.fetch({axis})  # the last one alone: a series may be larger than memory
        try:
            points = Points(*chunks.decode(columns, axes.of(columns, known_axes)))
        except chunks.TornChunk as error:
            incomplete = True
            yield Fault(Problem(source, key, number, f"columns: {error}"))
            continue
        if points.size != count:
            yield Fault(Problem(source, key, number, f"{points.size} points; its row says {count}"))
        info = figures.of_points(key, branch, points)
        total = info if total is None else figures.join(total, info)
        message = fault_of_rollups(rolled, points)
        if message:
            wanted = levels.encode(rollups.levels_of(*points))
            yield Fault(Problem(source, key, number, message), partial(mend_rollups, source, number, wanted))
    if total is not None and not incomplete and total.points != old.points:
        yield Fault(
            Problem(source, key, None, f"figures count {old.points} points, chunks hold {total.points}"),
            partial(mend_figures, source, series, known, figures.as_json(total)),
        )


def figures_of(series: int) -> dict[str, Any] | None:
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute("SELECT figures FROM monitoring_serieskey WHERE id = %s", [series])
        row = cursor.fetchone()
    if row is None:
        return None
    return row[0] if isinstance(row[0], dict) else dict(json.loads(row[0]))


@contextmanager
def alone(source: str) -> Iterator[Any]:
    """A cursor in a transaction beside which nobody replaces chunks of this source."""
    alias = settings.SERIES_DATABASE
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        lock_source(cursor, connections[alias].vendor, source)
        yield cursor


def mend_rollups(source: str, number: int, wanted: bytes) -> bool:
    with alone(source) as cursor:
        cursor.execute("SELECT 1 FROM monitoring_serieschunk WHERE id = %s", [number])
        if cursor.fetchone() is None:
            return True  # replaced by a fuller chunk meanwhile, with roll-ups of its own
        cursor.execute(
            "INSERT INTO monitoring_seriesrollup (id, body) VALUES (%s, %s) "
            "ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            [number, wanted],
        )
    return True


def mend_figures(source: str, series: int, seen: dict[str, Any], wanted: dict[str, Any]) -> bool:
    with alone(source) as cursor:
        if figures_of(series) != seen:
            return False  # points came meanwhile: the next check will tell
        cursor.execute(
            "UPDATE monitoring_serieskey SET figures = %s WHERE id = %s", [json.dumps(wanted), series]
        )
    return True


def faults_of_axes(source: str) -> Iterator[Fault]:
    """Axes that count other users than there are: with too few, one would be removed that is still needed."""
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        for number, counted, real in users_of(cursor, source):
            if counted != real:
                message = f"axis {number} counts {counted} chunks, {real} use it"
                yield Fault(Problem(source, "", None, message), partial(mend_axes, source))


def users_of(cursor: Any, source: str) -> list[tuple[int, int, int]]:
    """(axis, users that it counts, chunks that name it)."""
    cursor.execute(
        f"SELECT substr(c.columns, 1, {chunks.SHARED_HEAD.size}) FROM monitoring_serieschunk c "  # noqa: S608
        "JOIN monitoring_serieskey k ON k.id = c.series_id WHERE k.source = %s",
        [source],
    )
    real = Counter(chunks.axis_of(bytes(head)) for (head,) in cursor.fetchall())
    cursor.execute("SELECT id, users FROM monitoring_seriesaxis WHERE source = %s ORDER BY id", [source])
    return [(number, users, real[number]) for number, users in cursor.fetchall()]


def mend_axes(source: str) -> bool:
    with alone(source) as cursor:
        # Counted anew: a compaction may have come between.
        wrong = Counter({axis: counted - real for axis, counted, real in users_of(cursor, source)})
        axes.release(cursor, wrong)
    return True


def faults_of_left_rollups() -> Iterator[Fault]:
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM monitoring_seriesrollup {LEFT}")  # noqa: S608
        count = cursor.fetchone()[0]
    if count:
        yield Fault(Problem("", "", None, f"{count} roll-ups of chunks that are gone"), remove_left_rollups)


LEFT = "WHERE NOT EXISTS (SELECT 1 FROM monitoring_serieschunk c WHERE c.id = monitoring_seriesrollup.id)"


def remove_left_rollups() -> bool:
    alias = settings.SERIES_DATABASE
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(f"DELETE FROM monitoring_seriesrollup {LEFT}")  # noqa: S608
    return True


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
