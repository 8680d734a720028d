"""Batches with fewer points: what a spool does when it may hold no more.

Every second point of a key goes, counted over the batches of a segment, so that a key with one point a batch
thins too. A value that is not finite stays: a NaN is what somebody will look for. Every second line of output
goes likewise. Events stay, and so does each batch's number.
"""

import math
import sys
from array import array
from collections.abc import Iterable

from .points import little
from .protocol import Batch, Column, LogLine, PackedColumn


class Thinner:
    """Thins batches in their order. points, lines: how many it has left out so far."""

    def __init__(self) -> None:
        self.points = 0
        self.lines = 0
        self._seen: dict[tuple[int, str], int] = {}
        self._lines_seen = 0

    def thin(self, batch: Batch) -> Batch:
        columns = [self._column(batch.branch, column) for column in packed(batch)]
        return Batch(
            batch.seq,
            batch.branch,
            [],
            [column for column in columns if column.steps],
            self._some(batch.lines),
            batch.events,
        )

    def _column(self, branch: int, column: PackedColumn) -> PackedColumn:
        steps, times, values = (
            numbers("q", column.steps),
            numbers("d", column.times),
            numbers("d", column.values),
        )
        seen = self._seen.get((branch, column.key), 0)
        self._seen[branch, column.key] = seen + len(steps)
        first = seen % 2
        if math.isfinite(sum(values)):
            kept = [part[first::2] for part in (steps, times, values)]
        else:
            places = [i for i, value in enumerate(values) if i % 2 == first or not math.isfinite(value)]
            kept = [array(part.typecode, [part[i] for i in places]) for part in (steps, times, values)]
        self.points += len(steps) - len(kept[0])
        return PackedColumn(column.key, *map(little, kept))

    def _some(self, lines: list[LogLine]) -> list[LogLine]:
        kept = lines[self._lines_seen % 2 :: 2]
        self._lines_seen += len(lines)
        self.lines += len(lines) - len(kept)
        return kept


def numbers(kind: str, packed: bytes) -> "array[float]":
    """The array that `little` made bytes of."""
    found: array[float] = array(kind)
    found.frombytes(packed)
    if sys.byteorder != "little":
        found.byteswap()
    return found


def packed(batch: Batch) -> list[PackedColumn]:
    """All columns of the batch, packed."""
    return [pack(column) for column in batch.columns] + batch.packed


def pack(column: Column) -> PackedColumn:
    return PackedColumn(
        column.key,
        little(array("q", column.steps)),
        little(array("d", column.times)),
        little(array("d", column.values)),
    )


def count(batches: Iterable[Batch]) -> int:
    """Points in the batches."""
    return sum(
        sum(len(column.steps) for column in batch.columns)
        + sum(len(column.steps) // 8 for column in batch.packed)
        for batch in batches
    )
