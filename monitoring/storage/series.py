"""The series store as the rest of the site uses it.

A series belongs to a source ("run:<code>", "node:<name>") and a key, and holds points (step, time, value)
on branches. Steps come in any order and more than once; nothing is dropped for it.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from django.conf import settings
from django.db import connections, transaction

from . import axes, buckets, figures, reading
from .batches import Floats, Ints, Points, join, unpack
from .buckets import Buckets
from .chunks import TornChunk, decode
from .compact import compact, shrink
from .figures import KeyInfo
from .integrity import Problem, check
from .retention import age
from .rollups import Rows
from .router import SERIES_MODELS
from .snapshot import snapshot
from .writer import GapError, append, last_seq, lock_source, stop_writer, writer

__all__ = [
    "AgedColumn", "Buckets", "GapError", "KeyInfo", "Problem", "RawColumn", "age", "aged", "append",
    "check", "compact", "delete", "keys",
    "last_seq", "raw", "read", "stats", "stop_writer", "tail", "writer",
]  # fmt: skip


CHUNKS_DELETED_AT_ONCE = 500


class AgedColumn(NamedTuple):
    """What is left of a key's old points on one branch: buckets of 2^rows.k steps, in order."""

    key: str
    branch: int
    rows: Rows


class RawColumn(NamedTuple):
    """Points of one key on one branch, in order of step and, for equal steps, of arrival."""

    key: str
    branch: int
    steps: Ints
    times: Floats
    values: Floats


def keys(source: str) -> list[KeyInfo]:
    """Every key of a source, in alphabetical order, with figures over all its points."""
    found: dict[str, KeyInfo] = {}
    with snapshot(), connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute(
            "SELECT branch, body FROM monitoring_seriesbatch WHERE source = %s ORDER BY id", [source]
        )
        waiting = cursor.fetchall()
        cursor.execute("SELECT key, figures FROM monitoring_serieskey WHERE source = %s", [source])
        for key, known in cursor.fetchall():
            found[key] = figures.from_json(key, as_map(known))
    for branch, body in waiting:
        for key, points in unpack(bytes(body)):
            info = figures.of_points(key, branch, points)
            found[key] = figures.join(found[key], info) if key in found else info
    return [found[key] for key in sorted(found)]


all_keys = keys  # `raw` has a parameter of that name


def aged(source: str, keys: Sequence[str]) -> Iterator[AgedColumn]:
    """Where retention took points: their finest roll-ups. `raw` gives the points that are left."""
    for key in keys:
        with snapshot():
            lines = sorted(reading.lines_of(source, [key]).get(key, {}).items())
            found = [(branch, reading.aged_rows(line)) for branch, line in lines]
        for branch, rows in found:
            if rows is not None:
                yield AgedColumn(key, branch, rows)


def raw(
    source: str, keys: Sequence[str] | None = None, *, start: int | None = None, end: int | None = None
) -> Iterator[RawColumn]:
    """The exact points with start <= step <= end, a column for each key and branch."""
    low, high = (0 if start is None else start), (reading.BIGGEST_STEP if end is None else end)
    wanted = [info.key for info in all_keys(source)] if keys is None else list(keys)
    for key in wanted:
        # A snapshot a key: one over a whole export would keep SQLite's log from being folded in for minutes.
        with snapshot():
            lines = sorted(reading.lines_of(source, [key]).get(key, {}).items())
            found = [(branch, reading.exact_points(line, low, high)) for branch, line in lines]
        for branch, points in found:
            order = np.argsort(points.steps, kind="stable")
            if points.size:
                yield RawColumn(key, branch, points.steps[order], points.times[order], points.values[order])


def read(
    source: str,
    keys: Sequence[str],
    *,
    width: int = 1000,
    x: str = "step",
    start: float | None = None,
    end: float | None = None,
    branches: Iterable[Mapping[str, Any]] = (),
) -> list[Buckets]:
    """At most about `width` buckets of each key, in time that follows the width and not the points.

    x: step, relative_step (since the source's first), time, relative (seconds since the source's first point), or
    another key of the source, whose last value in the bucket is the place; an axis without data falls back to
    step, which the answer's `x` says.
    start, end: the range on that axis. branches: the run's, see training.models.Run; what a newer one left
    behind comes as a part of its own with `faded`.
    """
    with snapshot():
        return read_range(source, list(dict.fromkeys(keys)), width, x, start, end, branch_limits(branches))


def read_range(
    source: str,
    wanted: list[str],
    width: int,
    x: str,
    start: float | None,
    end: float | None,
    limits: dict[int, int],
) -> list[Buckets]:
    axis = x if x not in {"step", "relative_step", "relative", "time"} else None
    lines = reading.lines_of(source, [*wanted, axis] if axis else wanted)
    zero = first_time(source) if x == "relative" else 0.0
    first = first_step(source) if x == "relative_step" else 0
    found: list[Buckets] = []
    for key in wanted:
        if key not in lines:
            continue
        low, high = 0, reading.BIGGEST_STEP
        if x in {"relative", "time"} and (start is not None or end is not None):
            times = (zero + start if start is not None else -1e300, zero + end if end is not None else 1e300)
            steps = reading.steps_within_times(lines[key], *times)
            if steps is None:
                continue
            low, high = steps
        elif x in {"step", "relative_step"}:
            low = 0 if start is None else max(0, int(start) + first)
            high = reading.BIGGEST_STEP if end is None else max(0, int(end) + first)
        parts = read_key(source, key, lines[key], width, low, high, limits)
        if axis is not None:
            parts = [on_key(part, axis, lines.get(axis, {}), start, end) for part in parts]
        elif x == "relative_step":
            parts = [
                buckets.on_axis(part, x, part.columns["step"].astype(np.float64) - first) for part in parts
            ]
        elif x != "step":
            parts = [
                buckets.on_axis(part, x, part.columns["time"].astype(np.float64) - zero) for part in parts
            ]
        found += parts
    return found


def read_key(
    source: str,
    key: str,
    lines: dict[int, reading.Line],
    width: int,
    low: int,
    high: int,
    limits: dict[int, int],
) -> list[Buckets]:
    ranges = [line.step_range() for line in lines.values()]
    low = max(low, min(first for first, _ in ranges))
    high = min(high, max(last for _, last in ranges))
    if low > high:
        return []
    gone = [k for line in lines.values() if (k := reading.aged_k(line, low, high)) is not None]
    # The smallest width of buckets that leaves at most `width` of them over the range.
    k = max(gone, default=0)
    while (high >> k) - (low >> k) + 1 > width:
        k += 1
    found = []
    exact = None if gone else few_points(lines, width, k, low, high)
    for branch, line in sorted(lines.items()):
        limit = limits.get(branch, reading.BIGGEST_STEP)
        if exact is not None:
            points = exact[branch]
            for faded, mask in ((False, points.steps <= limit), (True, points.steps > limit)):
                if mask.any():
                    part = Points(points.steps[mask], points.times[mask], points.values[mask])
                    found.append(buckets.of_points(source, key, branch, faded, part))
            continue
        rows = reading.bucket_rows(line, k, low, high)
        for faded, mask in ((False, rows.bucket << k <= limit), (True, rows.bucket << k > limit)):
            if mask.any():
                chart = buckets.of_rows(source, key, branch, faded, rows.where(mask))
                found.append(replace(chart, aged=True) if gone else chart)
    return found


def few_points(
    lines: dict[int, reading.Line], width: int, k: int, low: int, high: int
) -> dict[int, Points] | None:
    """The points between two steps by branch, None when there are more than `width`."""
    # Chunks on the edge count in whole. Where buckets would be one step wide the points are decoded anyhow.
    if k and sum(reading.count_within(line, low, high) for line in lines.values()) > width:
        return None
    found = {branch: reading.exact_points(line, low, high) for branch, line in lines.items()}
    return found if sum(points.size for points in found.values()) <= width else None


def branch_limits(branches: Iterable[Mapping[str, Any]]) -> dict[int, int]:
    """The last step of each branch that still counts: the least step that a later branch took over at."""
    limits: dict[int, int] = {}
    least = None
    for branch in sorted(branches, key=lambda each: -int(each["index"])):
        if least is not None:
            limits[int(branch["index"])] = least
        from_step = int(branch.get("from_step", 0))
        least = from_step if least is None else min(least, from_step)
    return limits


def on_key(
    part: Buckets, axis: str, lines: dict[int, reading.Line], start: float | None, end: float | None
) -> Buckets:
    """The part with the last value of another key in each bucket as its x; as it was where that has no data."""
    line = lines.get(part.branch)
    steps = part.columns["step"].astype(np.int64, copy=False)
    if line is None or not len(steps):
        return part
    k = part.bucket.bit_length() - 1
    rows = reading.bucket_rows(line, k, int(steps[0]), int(steps[-1]) + part.bucket - 1)
    if not len(rows):
        return part
    at = np.minimum(np.searchsorted(rows.bucket, steps >> k), len(rows) - 1)
    values = np.where(rows.bucket[at] == steps >> k, rows.last[at], np.nan)
    low, high = (-np.inf if start is None else start), (np.inf if end is None else end)
    mask = np.isfinite(values) & (values >= low) & (values <= high)
    if not mask.any():
        return part
    return buckets.kept(buckets.on_axis(part, axis, values), mask)


def first_step(source: str) -> int:
    return min((info.first_step for info in keys(source) if info.first_step is not None), default=0)


def first_time(source: str) -> float:
    times = [info.first_time for info in keys(source) if info.first_time is not None]
    return min(times, default=0.0)


def tail(
    sources: Sequence[str],
    keys: Sequence[str],
    steps: int,
    forks: Mapping[str, Sequence[tuple[int, int]]] | None = None,
) -> dict[str, dict[str, tuple[Ints, Floats, Floats]]]:
    """The newest `steps` points of each key on its source's newest branch, by step. Two queries for all sources.

    forks: {source: [(branch, the step it begins after)…]}; with it, what the newest branch grew from belongs to it:
    points of older branches up to where they were left.
    """
    forks = forks or {}
    if not sources or not keys:
        return {}
    wanted = frozenset(keys)
    parts: dict[tuple[str, str], list[tuple[int, Points]]] = defaultdict(list)
    source_marks, key_marks = (", ".join(["%s"] * len(names)) for names in (sources, wanted))
    with snapshot(), connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute(
            f"SELECT source, branch, body FROM monitoring_seriesbatch WHERE source IN ({source_marks}) ORDER BY id",  # noqa: S608
            list(sources),
        )
        waiting = cursor.fetchall()
        # The newest two chunks of each branch: the last one may have just been begun.
        cursor.execute(
            "SELECT source, key, branch, columns FROM (SELECT k.source, k.key, c.branch, c.columns, c.last_step, "  # noqa: S608
            "ROW_NUMBER() OVER (PARTITION BY c.series_id, c.branch ORDER BY c.last_step DESC) AS place "
            "FROM monitoring_serieschunk c JOIN monitoring_serieskey k ON k.id = c.series_id "
            f"WHERE k.source IN ({source_marks}) AND k.key IN ({key_marks}) AND length(c.columns) > 0) AS newest "
            "WHERE place <= 2 ORDER BY last_step",
            [*sources, *wanted],
        )
        newest_chunks = [(*place, bytes(columns)) for *place, columns in cursor.fetchall()]
        known = axes.load(columns for *_, columns in newest_chunks)
    for source, key, branch, columns in newest_chunks:
        try:
            points = Points(*decode(columns, axes.of(columns, known)))
        except TornChunk:
            continue
        parts[source, key].append((branch, points))
    for source, branch, body in waiting:
        for key, points in unpack(bytes(body), wanted):
            parts[source, key].append((branch, points))
    newest: dict[str, int] = defaultdict(int)
    for (source, _), found in parts.items():
        newest[source] = max(newest[source], *(branch for branch, _ in found))
    tails: dict[str, dict[str, tuple[Ints, Floats, Floats]]] = defaultdict(dict)
    for (source, key), found in parts.items():
        points = join(
            [
                each if branch == newest[source] else grown_from(each, branch, newest[source], forks[source])
                for branch, each in found
                if branch == newest[source] or source in forks
            ]
        )
        if points.size:
            tails[source][key] = newest_of(points, steps)
    return dict(tails)


def newest_of(points: Points, steps: int) -> Points:
    """The newest `steps` points by step; of equal steps, those that came later come later."""
    if not bool((points.steps[1:] >= points.steps[:-1]).all()):
        return points.at(np.argsort(points.steps, kind="stable")[-steps:])
    if points.size <= steps:
        return points
    # Copies, for a view would keep all that was decoded.
    newest = points.between(points.size - steps, points.size)
    return Points(newest.steps.copy(), newest.times.copy(), newest.values.copy())


def grown_from(points: Points, branch: int, newest: int, forks: Sequence[tuple[int, int]]) -> Points:
    """The points of an older branch that the newest one still stands on: up to where a later one began."""
    left_at = min((step for index, step in forks if branch < index <= newest), default=-1)
    kept = points.steps <= left_at
    return Points(points.steps[kept], points.times[kept], points.values[kept])


def delete(source: str) -> None:
    """Remove everything of a source and give the space back.

    A long source goes in several transactions, its batches first, so that no writer waits for the whole of it and
    a compaction on the way gives up.
    """
    alias = settings.SERIES_DATABASE
    series_of = "series_id IN (SELECT id FROM monitoring_serieskey WHERE source = %s)"
    some = (
        f"SELECT id FROM monitoring_serieschunk WHERE {series_of} ORDER BY id LIMIT {CHUNKS_DELETED_AT_ONCE}"  # noqa: S608
    )
    left = True
    while left:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            lock_source(cursor, connections[alias].vendor, source)
            for table in ("seriesbatch", "seriessession", "logchunk"):
                cursor.execute(f"DELETE FROM monitoring_{table} WHERE source = %s", [source])  # noqa: S608
            cursor.execute(some, [source])
            ids = [row[0] for row in cursor.fetchall()]
            if ids:
                marks = ", ".join(["%s"] * len(ids))
                for table in ("seriesrollup", "serieschunk"):
                    cursor.execute(f"DELETE FROM monitoring_{table} WHERE id IN ({marks})", ids)  # noqa: S608
            left = len(ids) == CHUNKS_DELETED_AT_ONCE
            if not left:
                for table in ("serieskey", "seriesaxis"):
                    cursor.execute(f"DELETE FROM monitoring_{table} WHERE source = %s", [source])  # noqa: S608
    shrink(spare=0)


def stats() -> dict[str, int]:
    """{points, bytes, wal_bytes, keys, chunks, waiting_batches}; bytes is what the store takes on disk."""
    connection = connections[settings.SERIES_DATABASE]
    with connection.cursor() as cursor:

        def one(sql: str) -> int:
            cursor.execute(sql)
            return int(cursor.fetchone()[0] or 0)

        found = {
            "points": one("SELECT SUM(points) FROM monitoring_serieschunk")
            + one("SELECT SUM(points) FROM monitoring_seriesbatch"),
            "keys": one("SELECT COUNT(*) FROM monitoring_serieskey"),
            "chunks": one("SELECT COUNT(*) FROM monitoring_serieschunk"),
            "waiting_batches": one("SELECT COUNT(*) FROM monitoring_seriesbatch"),
        }
        if connection.vendor == "sqlite":
            # The file itself shrinks and grows only when the log is folded in.
            found["bytes"] = one("PRAGMA page_count") * one("PRAGMA page_size")
            path = Path(str(connection.settings_dict["NAME"]))
            found["wal_bytes"] = size_of(path.with_name(path.name + "-wal"))
        else:
            found["bytes"] = sum(
                one(f"SELECT pg_total_relation_size('monitoring_{name}')") for name in sorted(SERIES_MODELS)
            )
            found["wal_bytes"] = 0
    return found


def size_of(path: Path) -> int:
    return os.stat(path).st_size if path.exists() else 0


def as_map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else json.loads(value)
