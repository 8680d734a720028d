"""Figures over buckets of steps, at growing widths, made once when a chunk is written. Pure.

A bucket is 2^k steps wide and starts at a multiple of its width, so a later append never moves it. A
bucket keeps the least and the greatest value, so no spike is hidden, and counts of NaN and infinities.
"""

import struct
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, standalone

from .chunks import TornChunk

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# The finest level has about so many points in a bucket, each further one four times as many.
POINTS_PER_BUCKET = 32
LEVEL_STEP = 2
FEWEST_BUCKETS = 4
CONFIG = ChunkConfig(compression_level=4)
HEAD = struct.Struct("<BII")  # k, length of the integers, length of the floats


@dataclass(frozen=True)
class Rows:
    """Buckets of one width 2^k in order of `bucket` (the step >> k). Columns have equal lengths.

    low, high, total: over finite values (NaN, NaN, 0 where there is none). last: the value at the greatest
    step (the latest to arrive among equals), NaN and infinities included; last_step and last_time are its.
    """

    k: int
    bucket: Ints
    count: Ints
    nan: Ints
    plus_inf: Ints
    minus_inf: Ints
    last_step: Ints
    low: Floats
    high: Floats
    total: Floats
    last: Floats
    last_time: Floats

    def __len__(self) -> int:
        return len(self.bucket)

    def where(self, mask: NDArray[np.bool_]) -> "Rows":
        return Rows(self.k, *(getattr(self, name)[mask] for name in COLUMNS))


COLUMNS = tuple(field.name for field in fields(Rows))[1:]
INTS = COLUMNS[:6]
FLOATS = COLUMNS[6:]


def of_points(steps: Ints, times: Floats, values: Floats, k: int) -> Rows:
    """Buckets 2^k steps wide of points in any order; the order of equal steps is that of arrival."""
    order = np.argsort(steps, kind="stable")
    finite = np.isfinite(values)
    one = np.ones(len(steps), dtype=np.int64)
    single = Rows(
        k,
        bucket=steps >> k,
        count=one,
        nan=np.isnan(values).astype(np.int64),
        plus_inf=(values == np.inf).astype(np.int64),
        minus_inf=(values == -np.inf).astype(np.int64),
        last_step=np.asarray(steps, dtype=np.int64),
        low=np.where(finite, values, np.nan),
        high=np.where(finite, values, np.nan),
        total=np.where(finite, values, 0.0),
        last=np.asarray(values, dtype=np.float64),
        last_time=np.asarray(times, dtype=np.float64),
    )
    return grouped(Rows(k, *(getattr(single, name)[order] for name in COLUMNS)))


def widen(rows: Rows, k: int) -> Rows:
    """The same at a greater width 2^k. Raises ValueError for a smaller one."""
    if k < rows.k:
        raise ValueError(f"buckets of 2^{rows.k} steps cannot be narrowed to 2^{k}")
    if k == rows.k:
        return rows
    wide = {name: getattr(rows, name) for name in COLUMNS}
    wide["bucket"] = rows.bucket >> (k - rows.k)
    return grouped(Rows(k, **wide))


def merge(parts: list[Rows], k: int) -> Rows:
    """Rows of several sets, the later in the list being the later to arrive, at width 2^k."""
    wide = [widen(part, k) for part in parts if len(part)]
    if not wide:
        return empty(k)
    columns = {name: np.concatenate([getattr(part, name) for part in wide]) for name in COLUMNS}
    order = np.lexsort((columns["last_step"], columns["bucket"]))
    return grouped(Rows(k, **{name: column[order] for name, column in columns.items()}))


def grouped(rows: Rows) -> Rows:
    """One row a bucket, of rows that are in order of bucket and, within it, of last_step and arrival."""
    if len(rows) < 2:
        return rows
    starts = np.flatnonzero(np.r_[True, rows.bucket[1:] != rows.bucket[:-1]])
    if len(starts) == len(rows):
        return rows
    ends = np.r_[starts[1:], len(rows)] - 1
    with np.errstate(over="ignore", invalid="ignore"):
        # A sum of finite values may leave the range; the mean is then infinite, and low and high tell why.
        total = np.add.reduceat(rows.total, starts)
    return Rows(
        rows.k,
        bucket=rows.bucket[starts],
        count=np.add.reduceat(rows.count, starts),
        nan=np.add.reduceat(rows.nan, starts),
        plus_inf=np.add.reduceat(rows.plus_inf, starts),
        minus_inf=np.add.reduceat(rows.minus_inf, starts),
        last_step=rows.last_step[ends],
        low=np.fmin.reduceat(rows.low, starts),
        high=np.fmax.reduceat(rows.high, starts),
        total=total,
        last=rows.last[ends],
        last_time=rows.last_time[ends],
    )


def empty(k: int) -> Rows:
    ints: Ints = np.empty(0, np.int64)
    floats: Floats = np.empty(0, np.float64)
    columns: dict[str, Any] = dict.fromkeys(INTS, ints) | dict.fromkeys(FLOATS, floats)
    return Rows(k, **columns)


def levels_of(steps: Ints, times: Floats, values: Floats) -> list[Rows]:
    """The levels worth keeping for a chunk: each at least four times coarser than the one before."""
    if len(steps) < POINTS_PER_BUCKET * FEWEST_BUCKETS:
        return []
    span = int(steps.max()) - int(steps.min()) + 1
    k = max(0, (max(1, POINTS_PER_BUCKET * span // len(steps)) - 1).bit_length())
    rows = of_points(steps, times, values, k)
    levels = [rows]
    while len(levels[-1]) >= FEWEST_BUCKETS << LEVEL_STEP:
        k += LEVEL_STEP
        levels.append(widen(levels[-1], k))
    return levels


def encode(levels: list[Rows]) -> bytes:
    """Levels as bytes, each readable without the others."""
    parts = []
    for rows in levels:
        ints = bytes(
            standalone.simple_compress(np.concatenate([getattr(rows, name) for name in INTS]), CONFIG)
        )
        floats = bytes(
            standalone.simple_compress(np.concatenate([getattr(rows, name) for name in FLOATS]), CONFIG)
        )
        parts.append(HEAD.pack(rows.k, len(ints), len(floats)) + ints + floats)
    return b"".join(parts)


def widths(blob: bytes) -> list[tuple[int, int]]:
    """(k, offset) of each level, finest first. Raises TornChunk."""
    found, offset = [], 0
    while offset < len(blob):
        if offset + HEAD.size > len(blob):
            raise TornChunk("the roll-ups end in the middle of a level")
        k, ints, floats = HEAD.unpack_from(blob, offset)
        found.append((k, offset))
        offset += HEAD.size + ints + floats
    if offset != len(blob):
        raise TornChunk("the roll-ups end in the middle of a level")
    return found


def decode(blob: bytes, offset: int) -> Rows:
    """The level at this offset. Raises TornChunk."""
    k, ints_length, floats_length = HEAD.unpack_from(blob, offset)
    start = offset + HEAD.size
    try:
        ints = np.asarray(standalone.simple_decompress(blob[start : start + ints_length]))
        start += ints_length
        floats = np.asarray(standalone.simple_decompress(blob[start : start + floats_length]))
    except (RuntimeError, ValueError, TypeError) as error:
        raise TornChunk(f"roll-ups of 2^{k} steps: {error}") from None
    if (
        len(ints) % len(INTS)
        or len(floats) % len(FLOATS)
        or len(ints) * len(FLOATS) != len(floats) * len(INTS)
    ):
        raise TornChunk(f"roll-ups of 2^{k} steps have columns of unequal length")
    return Rows(k, *np.split(ints, len(INTS)), *np.split(floats, len(FLOATS)))


def best_level(blob: bytes, k: int) -> Rows | None:
    """The coarsest level that is no wider than 2^k, None when even the finest is. Raises TornChunk."""
    fitting = [offset for level, offset in widths(blob) if level <= k]
    return decode(blob, fitting[-1]) if fitting else None
