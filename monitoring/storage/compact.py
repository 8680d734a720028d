"""Turns batches into chunks. Exactly once, whatever dies when; the writer waits for milliseconds at most.

Everything slow (decoding, compressing) happens before the one short transaction that inserts the chunks,
and deletes the batches and the partly filled chunks they replace. That transaction checks that each of
those still exists: a second compactor, or a deletion of the run, makes it give up and leave all as it was.
"""

import json
import logging
import math
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from django.conf import settings
from django.db import connections, transaction

from . import axes, chunks, figures, levels, rollups
from .batches import Points, join, unpack
from .figures import KeyInfo
from .writer import lock_source

logger = logging.getLogger(__name__)
CHUNK_POINTS = 65_536
BATCHES_AT_ONCE = 500
POINTS_AT_ONCE = 2_000_000
# A partly filled chunk is written anew each time: it pays to let some batches gather.
FEWEST_BATCHES = 50
LONGEST_WAIT_SECONDS = 60.0
# Shrinking in one go would hold the write lock for long: so many pages a transaction, for so long a tick.
PAGES_GIVEN_BACK = 2000
SHRINK_SECONDS = 1.0
FEWEST_SPARE_PAGES = 32
COLUMNS_AT = 6  # in a chunk's row


class Overtaken(Exception):
    """Somebody else changed what was being compacted."""


@dataclass
class Plan:
    """What one transaction will do for one source."""

    source: str
    batches: list[int]
    infos: dict[str, KeyInfo] = field(default_factory=dict)
    replaced: list[int] = field(default_factory=list)
    chunks: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)  # key, row
    # Axes to store, by the number that the chunks' bytes name until they have an id.
    axes: list[bytes] = field(default_factory=list)
    users: Counter[int] = field(default_factory=Counter)
    released: Counter[int] = field(default_factory=Counter)  # axes in the database that lose so many users


def compact(limit_seconds: float = 8.0, source: str | None = None) -> int:
    """Compact what has gathered, oldest first, for about so long. Returns the number of points compacted.

    source: this one, however little has gathered.
    """
    deadline = time.monotonic() + limit_seconds
    done = 0
    for name in [source] if source else waiting_sources():
        while time.monotonic() < deadline:
            try:
                found = compact_some(name)
            except Overtaken as reason:
                logger.info("compaction of %s gave way: %s", name, reason)
                break
            done += found
            if not found:
                break
    give_back_space()
    return done


def give_back_space() -> None:
    """Shrink SQLite's file by pages that compacted batches left, down to a twentieth that new batches use again."""
    shrink(spare=1 / 20, deadline=time.monotonic() + SHRINK_SECONDS)


def shrink(spare: float, deadline: float = math.inf) -> None:
    """Take free pages from the end of SQLite's file until such a part of it is free; several transactions."""
    connection = connections[settings.SERIES_DATABASE]
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA freelist_count")
            free = cursor.fetchone()[0]
            cursor.execute("PRAGMA page_count")
            kept = max(int(cursor.fetchone()[0] * spare), FEWEST_SPARE_PAGES if spare else 0)
        if free <= kept:
            return
        # A cursor's `execute` takes one step of it, which frees one page; a script is run to its end.
        connection.connection.executescript(
            f"PRAGMA incremental_vacuum({min(PAGES_GIVEN_BACK, free - kept)})"
        )


def waiting_sources() -> list[str]:
    """Sources that have enough batches, or old ones; oldest first."""
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute(
            "SELECT source FROM monitoring_seriesbatch GROUP BY source "
            "HAVING COUNT(*) >= %s OR MIN(received_at) < %s ORDER BY MIN(id)",
            [FEWEST_BATCHES, time.time() - LONGEST_WAIT_SECONDS],
        )
        return [row[0] for row in cursor.fetchall()]


def compact_some(source: str) -> int:
    """Compact the oldest batches of a source; the number of points. Raises Overtaken."""
    plan, points = prepare(source)
    if plan is not None:
        commit(plan)
    return points


def prepare(source: str) -> tuple[Plan | None, int]:
    found: dict[tuple[str, int], list[Points]] = defaultdict(list)
    ids: list[int] = []
    count = 0
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute(
            "SELECT id, branch, points, body FROM monitoring_seriesbatch WHERE source = %s ORDER BY id LIMIT %s",
            [source, BATCHES_AT_ONCE],
        )
        for number, branch, points, body in cursor.fetchall():
            if ids and count + points > POINTS_AT_ONCE:
                break
            ids.append(number)
            count += points
            for key, columns in unpack(bytes(body)):
                found[key, branch].append(columns)
        if not ids:
            return None, 0
        plan = Plan(source, ids)
        tails = read_tails(cursor, source)
    together: dict[tuple[int, bytes, bytes], list[tuple[str, Points]]] = defaultdict(list)
    for (key, branch), parts in found.items():
        new = join(parts)
        info = figures.of_points(key, branch, new)
        plan.infos[key] = figures.join(plan.infos[key], info) if key in plan.infos else info
        new = with_tail(plan, key, new, tails.get((key, branch)))
        together[branch, new.steps.tobytes(), new.times.tobytes()].append((key, new))
    for (branch, _, _), keys in together.items():
        plan_chunks(plan, branch, keys)
    return plan, count


class Tail(NamedTuple):
    """The newest chunk of a key on a branch, which is not full yet."""

    id: int
    columns: bytes
    axis: tuple[Any, Any] | None


def read_tails(cursor: Any, source: str) -> dict[tuple[str, int], Tail]:
    cursor.execute(
        "SELECT k.key, c.branch, c.id, c.columns FROM monitoring_serieschunk c "
        "JOIN monitoring_serieskey k ON k.id = c.series_id "
        "WHERE k.source = %s AND c.points < %s AND length(c.columns) > 0 ORDER BY c.id",
        [source, CHUNK_POINTS],
    )
    found = {(key, branch): (number, bytes(columns)) for key, branch, number, columns in cursor.fetchall()}
    known = axes.load(columns for _, columns in found.values())
    return {
        place: Tail(number, columns, axes.of(columns, known)) for place, (number, columns) in found.items()
    }


def with_tail(plan: Plan, key: str, new: Points, tail: Tail | None) -> Points:
    """The points of a tail with the new ones behind them; the tail will be replaced."""
    if tail is None:
        return new
    try:
        old = Points(*chunks.decode(tail.columns, tail.axis))
    except chunks.TornChunk as error:
        # Left for `manage.py series check`; what is new goes into a chunk of its own.
        logger.error("chunk %d of %s %r is torn: %s", tail.id, plan.source, key, error)
        return new
    plan.replaced.append(tail.id)
    axis = chunks.axis_of(tail.columns)
    if axis is not None:
        plan.released[axis] += 1
    return join([old, new])


def plan_chunks(plan: Plan, branch: int, keys: list[tuple[str, Points]]) -> None:
    """Chunks of keys that have the same steps and times."""
    steps = keys[0][1].steps
    order = None if rollups.rising(steps) else np.argsort(steps, kind="stable")
    for first in range(0, len(steps), CHUNK_POINTS):
        axis = None
        for key, points in keys:
            whole = points if order is None else points.at(order)
            part = whole.between(first, first + CHUNK_POINTS)
            if len(keys) == 1:
                columns = chunks.encode(*part)
            else:
                if axis is None:
                    axis = len(plan.axes)
                    plan.axes.append(chunks.encode_axis(part.steps, part.times))
                plan.users[axis] += 1
                columns = chunks.encode_values(part.values, axis)
            plan.chunks.append((key, chunk_row(branch, part, columns)))


def chunk_row(branch: int, part: Points, columns: bytes) -> tuple[Any, ...]:
    """A chunk's columns in the table from branch on, then its roll-ups; the points are in order of step."""
    return (
        branch,
        int(part.steps[0]),
        int(part.steps[-1]),
        float(part.times.min()),
        float(part.times.max()),
        part.size,
        columns,
        levels.encode(rollups.levels_of(*part)),
    )


def commit(plan: Plan) -> None:
    alias = settings.SERIES_DATABASE
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        lock_source(cursor, connections[alias].vendor, plan.source)
        remove(cursor, "monitoring_seriesbatch", plan.batches)
        remove(cursor, "monitoring_serieschunk", plan.replaced)
        cursor.executemany("DELETE FROM monitoring_seriesrollup WHERE id = %s", [(n,) for n in plan.replaced])
        axes.release(cursor, plan.released)
        ids = series_ids(cursor, connections[alias].vendor, plan)
        numbers = [axes.store(cursor, plan.source, body, plan.users[at]) for at, body in enumerate(plan.axes)]
        insert_chunks(cursor, [(ids[key], *on_stored_axis(row, numbers)) for key, row in plan.chunks])


def insert_chunks(cursor: Any, rows: list[tuple[Any, ...]]) -> None:
    """rows: id of the series, then what `chunk_row` gives."""
    rolled = []
    for *row, rollup in rows:
        cursor.execute(
            "INSERT INTO monitoring_serieschunk (series_id, branch, first_step, last_step, first_time, last_time, "
            "points, columns) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            row,
        )
        number = cursor.fetchone()[0]
        if rollup:
            rolled.append((number, rollup))
    cursor.executemany("INSERT INTO monitoring_seriesrollup (id, body) VALUES (%s, %s)", rolled)


def on_stored_axis(row: tuple[Any, ...], numbers: list[int]) -> tuple[Any, ...]:
    axis = chunks.axis_of(row[COLUMNS_AT])
    if axis is None:
        return row
    return (*row[:COLUMNS_AT], chunks.on_axis(row[COLUMNS_AT], numbers[axis]), *row[COLUMNS_AT + 1 :])


def remove(cursor: Any, table: str, ids: list[int]) -> None:
    for first in range(0, len(ids), 500):
        some = ids[first : first + 500]
        marks = ", ".join(["%s"] * len(some))
        cursor.execute(f"DELETE FROM {table} WHERE id IN ({marks})", some)  # noqa: S608
        if cursor.rowcount != len(some):
            raise Overtaken(f"{len(some) - cursor.rowcount} rows of {table} are gone")


def series_ids(cursor: Any, vendor: str, plan: Plan) -> dict[str, int]:
    """Ids of the plan's keys, made where new, with their figures brought up to date."""
    cursor.executemany(
        "INSERT INTO monitoring_serieskey (source, key, figures) VALUES (%s, %s, '{}') "
        "ON CONFLICT (source, key) DO NOTHING",
        [(plan.source, key) for key in plan.infos],
    )
    lock = " FOR UPDATE" if vendor == "postgresql" else ""
    cursor.execute(
        f"SELECT id, key, figures FROM monitoring_serieskey WHERE source = %s ORDER BY id{lock}",  # noqa: S608
        [plan.source],
    )
    ids, changed = {}, []
    for number, key, old in cursor.fetchall():
        if key in plan.infos:
            ids[key] = number
            before = figures.from_json(key, old if isinstance(old, dict) else json.loads(old))
            joined = figures.join(before, plan.infos[key])
            changed.append((json.dumps(figures.as_json(joined)), number))
    cursor.executemany("UPDATE monitoring_serieskey SET figures = %s WHERE id = %s", changed)
    return ids
