"""Reads of one source: chunks by the range of steps, and the batches that are not compacted yet."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connections

from . import axes, chunks, levels, rollups
from .batches import Points, join, unpack
from .chunks import TornChunk
from .rollups import Rows

logger = logging.getLogger(__name__)
BIGGEST_STEP = 2**62


@dataclass(frozen=True)
class ChunkHead:
    """A chunk without its bytes."""

    id: int
    first_step: int
    last_step: int
    first_time: float
    last_time: float
    points: int
    size: int  # bytes of its points; 0 once retention took them


@dataclass
class Line:
    """One key on one branch: chunks by first step, and waiting points in order of arrival.

    known_axes: those decoded so far, common to all lines of a read.
    """

    heads: list[ChunkHead] = field(default_factory=list)
    waiting: Points | None = None
    known_axes: dict[int, axes.Axis] = field(default_factory=dict)

    def step_range(self) -> tuple[int, int]:
        lows = [head.first_step for head in self.heads]
        highs = [head.last_step for head in self.heads]
        if self.waiting is not None:
            lows.append(int(self.waiting.steps.min()))
            highs.append(int(self.waiting.steps.max()))
        return min(lows), max(highs)

    @property
    def first_time(self) -> float:
        times = [head.first_time for head in self.heads]
        if self.waiting is not None:
            times.append(float(self.waiting.times.min()))
        return min(times)


def lines_of(source: str, keys: Sequence[str]) -> dict[str, dict[int, Line]]:
    """{key: {branch: line}} of the keys that have points. Two queries, whatever the number of keys.

    Call it, and what reads the lines' points, inside one `snapshot`.
    """
    shared: dict[int, axes.Axis] = {}
    found: dict[str, dict[int, Line]] = defaultdict(lambda: defaultdict(lambda: Line(known_axes=shared)))
    wanted = frozenset(keys)
    if not wanted:
        return {}
    marks = ", ".join(["%s"] * len(wanted))
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute(
            "SELECT id, branch, body FROM monitoring_seriesbatch WHERE source = %s ORDER BY id", [source]
        )
        batches = cursor.fetchall()
        cursor.execute(
            "SELECT k.key, c.branch, c.id, c.first_step, c.last_step, c.first_time, c.last_time, c.points, "  # noqa: S608
            "length(c.columns) "
            "FROM monitoring_serieschunk c JOIN monitoring_serieskey k ON k.id = c.series_id "
            f"WHERE k.source = %s AND k.key IN ({marks}) ORDER BY c.first_step, c.id",
            [source, *wanted],
        )
        for key, branch, *head in cursor.fetchall():
            found[key][branch].heads.append(ChunkHead(*head))
    parts: dict[tuple[str, int], list[Points]] = defaultdict(list)
    for _, branch, body in batches:
        for key, points in unpack(bytes(body), wanted):
            parts[key, branch].append(points)
    for (key, branch), columns in parts.items():
        found[key][branch].waiting = join(columns)
    return {key: dict(branches) for key, branches in found.items()}


def blobs(heads: Sequence[ChunkHead], table: str, column: str) -> dict[int, bytes]:
    """{chunk id: bytes} of the chunks' columns or of their roll-ups, a few hundred a query."""
    found: dict[int, bytes] = {}
    ids = [head.id for head in heads]
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        for first in range(0, len(ids), 500):
            some = ids[first : first + 500]
            marks = ", ".join(["%s"] * len(some))
            cursor.execute(f"SELECT id, {column} FROM {table} WHERE id IN ({marks})", some)  # noqa: S608
            found |= {number: bytes(blob) for number, blob in cursor.fetchall()}
    return found


def exact_points(line: Line, start: int = 0, end: int = BIGGEST_STEP) -> Points:
    """The points of a line with start <= step <= end, by chunk and then by arrival. A torn chunk is left out."""
    heads = [head for head in line.heads if head.first_step <= end and head.last_step >= start]
    parts = [cut(points, start, end) for points in points_of(line, heads)]
    if line.waiting is not None:
        mask = (line.waiting.steps >= start) & (line.waiting.steps <= end)
        parts.append(line.waiting if mask.all() else line.waiting.at(mask))
    return join(parts)


def points_of(line: Line, heads: Sequence[ChunkHead]) -> Iterator[Points]:
    """The points of some of a line's chunks; a torn one is left out and said in the log."""
    found = blobs(heads, "monitoring_serieschunk", "columns")
    needed = {number for blob in found.values() if (number := chunks.axis_of(blob)) is not None}
    line.known_axes.update(axes.fetch(needed - line.known_axes.keys()))
    for head in heads:
        blob = found.get(head.id)
        if not blob:
            continue
        try:
            yield Points(*chunks.decode(blob, axes.of(blob, line.known_axes)))
        except TornChunk as error:
            logger.error("chunk %d cannot be read: %s; run manage.py series check", head.id, error)


def cut(points: Points, start: int, end: int) -> Points:
    """The points with start <= step <= end of a chunk, which is in order of step."""
    first, last = np.searchsorted(points.steps, [start, end + 1]).tolist()
    return points.between(first, last)


def bucket_rows(line: Line, k: int, start: int = 0, end: int = BIGGEST_STEP) -> Rows:
    """Buckets of 2^k steps that overlap start..end, from roll-ups where they are fine enough."""
    first, last = (start >> k) << k, ((end >> k) << k) + (1 << k) - 1
    heads = [head for head in line.heads if head.first_step <= last and head.last_step >= first]
    rolled = blobs(heads, "monitoring_seriesrollup", "body")
    parts: list[Rows] = []
    fine: list[ChunkHead] = []
    for head in heads:
        rows = level_of(head, rolled.get(head.id), k)
        if rows is None:
            fine.append(head)
        else:
            parts.append(rows)
    parts += [rollups.of_points(*cut(points, first, last), k) for points in points_of(line, fine)]
    if line.waiting is not None:
        parts.append(rollups.of_points(*line.waiting, k))
    rows = rollups.merge(parts, k)
    mask = (rows.bucket >= start >> k) & (rows.bucket <= end >> k)
    return rows if mask.all() else rows.where(mask)


def level_of(head: ChunkHead, blob: bytes | None, k: int) -> Rows | None:
    if not blob:
        return None
    try:
        return levels.best(blob, k)
    except TornChunk as error:
        logger.error("roll-ups of chunk %d cannot be read: %s; run manage.py series check", head.id, error)
        return None


def count_within(line: Line, start: int, end: int) -> int:
    """At least the number of points between two steps: chunks on the edge count in whole."""
    total = sum(head.points for head in line.heads if head.first_step <= end and head.last_step >= start)
    if line.waiting is not None:
        total += int(np.count_nonzero((line.waiting.steps >= start) & (line.waiting.steps <= end)))
    return total


def steps_within_times(lines: dict[int, Line], start: float, end: float) -> tuple[int, int] | None:
    """The range of steps whose points lie between two times, None when there are none."""
    ranges: list[Any] = []
    for line in lines.values():
        heads = [head for head in line.heads if head.first_time <= end and head.last_time >= start]
        inside = Line(heads, line.waiting, line.known_axes)
        if not heads and line.waiting is None:
            continue
        gone = aged_k(inside)
        few = sum(head.points for head in heads) <= 200_000
        points = exact_points(inside) if few and gone is None else None
        if points is None:
            rows = bucket_rows(inside, 0 if not heads else max(coarse_k(inside), gone or 0))
            mask = (rows.last_time >= start) & (rows.last_time <= end)
            # A bucket tells its last time alone: its neighbours may reach into the range.
            steps = rows.bucket[mask] << rows.k
            steps = np.concatenate([steps - (1 << rows.k), steps + (2 << rows.k)]) if len(steps) else steps
        else:
            steps = points.steps[(points.times >= start) & (points.times <= end)]
        if len(steps):
            ranges.append((int(steps.min()), int(steps.max())))
    if not ranges:
        return None
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def aged_k(line: Line, start: int = 0, end: int = BIGGEST_STEP) -> int | None:
    """The finest width 2^k that is left everywhere between two steps, None where no points are gone."""
    aged = [h.id for h in line.heads if not h.size and h.first_step <= end and h.last_step >= start]
    finest = 0
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        for first in range(0, len(aged), 500):
            some = aged[first : first + 500]
            marks = ", ".join(["%s"] * len(some))
            sql = f"SELECT substr(body, 1, 1) FROM monitoring_seriesrollup WHERE id IN ({marks})"  # noqa: S608
            cursor.execute(sql, some)
            finest = max([finest, *(levels.width_of(bytes(byte)) for (byte,) in cursor.fetchall())])
    return finest if aged else None


def aged_rows(line: Line) -> Rows | None:
    """The roll-ups of chunks whose points are gone, at one width; None where there are none."""
    k = aged_k(line)
    if k is None:
        return None
    return bucket_rows(Line([head for head in line.heads if not head.size]), k)


def coarse_k(line: Line) -> int:
    """A width that leaves a few thousand buckets over the line."""
    low, high = line.step_range()
    return max(0, (high - low) // 4096).bit_length()
