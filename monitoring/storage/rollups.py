"""Figures over buckets of steps, at growing widths, made once when a chunk is written. Pure.

A bucket is 2^k steps wide and starts at a multiple of its width, so a later append never moves it. A
bucket keeps the least and the greatest value, so no spike is hidden, and counts of NaN and infinities.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# The finest level has about so many points in a bucket, each further one sixteen times as many: a chart of
# less decodes points, of which two chunks are enough for 1,000 buckets.
POINTS_PER_BUCKET = 128
LEVEL_STEP = 4
FEWEST_BUCKETS = 4


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
    if not len(steps):
        return empty(k)
    if not rising(steps):
        order = np.argsort(steps, kind="stable")
        steps, times, values = steps[order], times[order], values[order]
    bucket = steps >> k
    starts = first_places(bucket)
    ends = last_places(starts, len(steps))
    finite = np.isfinite(values)
    low = high = total = values
    none = np.zeros(len(starts), np.int64)
    nan = plus_inf = minus_inf = none
    if not finite.all():
        low = high = np.where(finite, values, np.nan)
        total = np.where(finite, values, 0.0)
        nan, plus_inf, minus_inf = (
            np.add.reduceat(mask.astype(np.int64), starts)
            for mask in (np.isnan(values), values == np.inf, values == -np.inf)
        )
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.add.reduceat(total, starts)
    return Rows(
        k,
        bucket=bucket[starts],
        count=ends - starts + 1,
        nan=nan,
        plus_inf=plus_inf,
        minus_inf=minus_inf,
        last_step=np.asarray(steps[ends], dtype=np.int64),
        low=np.fmin.reduceat(low, starts),
        high=np.fmax.reduceat(high, starts),
        total=total,
        last=np.asarray(values[ends], dtype=np.float64),
        last_time=np.asarray(times[ends], dtype=np.float64),
    )


def first_places(bucket: Ints) -> Ints:
    """Where each run of equal numbers begins."""
    found = np.empty(len(bucket), np.bool_)
    found[0] = True
    np.not_equal(bucket[1:], bucket[:-1], out=found[1:])
    return np.flatnonzero(found)


def last_places(starts: Ints, length: int) -> Ints:
    ends = np.empty_like(starts)
    ends[:-1] = starts[1:]
    ends[-1] = length
    return ends - 1


def rising(column: Ints) -> bool:
    """Whether no value is less than the one before it."""
    return bool((column[1:] >= column[:-1]).all())


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
    parts = [part for part in parts if len(part)]
    if not parts:
        return empty(k)
    for part in parts:
        if part.k > k:
            raise ValueError(f"buckets of 2^{part.k} steps cannot be narrowed to 2^{k}")
    # Rows of the same width are shifted and added up together: once, not once a part.
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS[1:]}
    columns["bucket"] = np.concatenate([part.bucket >> (k - part.k) for part in parts])
    if not (rising(columns["bucket"]) and rising(columns["last_step"])):
        order = np.lexsort((columns["last_step"], columns["bucket"]))
        columns = {name: column[order] for name, column in columns.items()}
    return grouped(Rows(k, **columns))


def grouped(rows: Rows) -> Rows:
    """One row a bucket, of rows that are in order of bucket and, within it, of last_step and arrival."""
    if len(rows) < 2:
        return rows
    starts = first_places(rows.bucket)
    if len(starts) == len(rows):
        return rows
    ends = last_places(starts, len(rows))
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


def agree(one: Rows, other: Rows) -> bool:
    """Whether they say the same; sums may have been added up in another order."""
    if len(one) != len(other):
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        sums = np.isclose(one.total, other.total, rtol=1e-9, atol=1e-9 * spread(other), equal_nan=True)
    # Not finite where a sum left the range: which way it did depends on the order.
    return bool((sums | ~np.isfinite(one.total)).all()) and all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name in FLOATS)
        for name in COLUMNS
        if name != "total"
    )


def spread(rows: Rows) -> Floats:
    """A bound of what was added up in each bucket."""
    highest = np.fmax(np.nan_to_num(np.abs(rows.low)), np.nan_to_num(np.abs(rows.high)))
    return np.asarray(rows.count * highest, dtype=np.float64)


def empty(k: int) -> Rows:
    ints: Ints = np.empty(0, np.int64)
    floats: Floats = np.empty(0, np.float64)
    columns: dict[str, Any] = dict.fromkeys(INTS, ints) | dict.fromkeys(FLOATS, floats)
    return Rows(k, **columns)


def levels_of(steps: Ints, times: Floats, values: Floats) -> list[Rows]:
    """The levels worth keeping for a chunk, the finest first."""
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
