"""What a chart gets: buckets of one key on one branch, as columns of numbers."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.plain import numbers

from .batches import Floats, Ints, Points
from .rollups import Rows

Column = NDArray[np.generic]
# Columns in which NaN stands for "no finite value"; in `last` it is a NaN that was logged.
NAN_IS_NULL = frozenset({"min", "max", "mean"})


@dataclass(frozen=True)
class Buckets:
    """columns: x, step, time, min, max, mean, last, count, of one length; see docs/contracts.md section 4.

    step and count are int64, x is int64 or float64, the rest float64. marks: (name of a non-finite value,
    the places of buckets that hold one). aged: points of the range are gone, so buckets may be wider than asked.
    """

    source: str
    key: str
    branch: int
    faded: bool
    x: str
    bucket: int
    exact: bool
    columns: dict[str, Column]
    marks: tuple[tuple[str, Ints], ...] = ()
    aged: bool = False

    @property
    def head(self) -> dict[str, Any]:
        """All of it but the columns, as JSON."""
        return {
            "source": self.source,
            "key": self.key,
            "branch": self.branch,
            "faded": self.faded,
            "x": self.x,
            "bucket": self.bucket,
            "exact": self.exact,
            "aged": self.aged,
            "non_finite": self.non_finite,
        }

    @property
    def non_finite(self) -> list[dict[str, Any]]:
        """Each bucket with a non-finite value: {step, x, kind}."""
        steps, places = self.columns["step"], self.columns["x"]
        return [
            {"step": step, "x": x, "kind": kind}
            for kind, at in self.marks
            for step, x in zip(steps[at].tolist(), places[at].tolist(), strict=True)
        ]

    def as_map(self) -> dict[str, Any]:
        """As JSON: a non-finite number in `last` is its name, and null in min, max and mean."""
        lists: dict[int, list[Any]] = {}
        columns: dict[str, list[Any]] = {}
        for name, column in self.columns.items():
            # Columns that are one array become one list: an exact part has a single column of values.
            if name == "last":
                columns[name] = numbers(column.tolist())
            elif id(column) in lists:
                columns[name] = lists[id(column)]
            else:
                lists[id(column)] = columns[name] = (
                    or_none(column) if name in NAN_IS_NULL else column.tolist()
                )
        return {**self.head, "columns": columns}


def of_points(source: str, key: str, branch: int, faded: bool, points: Points) -> Buckets:
    """Each point as a bucket of its own, in order of step and arrival."""
    order = np.argsort(points.steps, kind="stable")
    steps, times, values = points.steps[order], points.times[order], points.values[order]
    finite = np.isfinite(values)
    shown = values if finite.all() else np.where(finite, values, np.nan)
    columns = {
        "x": steps,
        "step": steps,
        "time": times,
        "min": shown,
        "max": shown,
        "mean": shown,
        "last": values,
        "count": np.ones(len(steps), np.int64),
    }
    marks = () if finite.all() else marked(np.isnan(values), values == np.inf, values == -np.inf)
    return Buckets(source, key, branch, faded, "step", 1, True, columns, marks)


def of_rows(source: str, key: str, branch: int, faded: bool, rows: Rows) -> Buckets:
    """Buckets of 2^k steps; `step` is the first step that the bucket can hold."""
    steps = rows.bucket << rows.k
    finite = rows.count - rows.nan - rows.plus_inf - rows.minus_inf
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = rows.total / finite
    columns = {
        "x": steps,
        "step": steps,
        "time": rows.last_time,
        "min": rows.low,
        "max": rows.high,
        # A sum may have left the range where the values have not: then there is no mean to show.
        "mean": np.where(np.isfinite(mean), mean, np.nan),
        "last": rows.last,
        "count": rows.count,
    }
    marks = marked(rows.nan, rows.plus_inf, rows.minus_inf)
    return Buckets(source, key, branch, faded, "step", 1 << rows.k, False, columns, marks)


def marked(nan: Column, plus_inf: Column, minus_inf: Column) -> tuple[tuple[str, Ints], ...]:
    found = (("NaN", nan), ("Infinity", plus_inf), ("-Infinity", minus_inf))
    return tuple((kind, np.flatnonzero(column)) for kind, column in found if column.any())


def or_none(column: Column) -> list[float | None]:
    good = np.isfinite(column)
    if good.all():
        return list(column.tolist())
    return [value if fine else None for value, fine in zip(column.tolist(), good.tolist(), strict=True)]


def on_axis(buckets: Buckets, x: str, values: Floats) -> Buckets:
    """The same with another x column, of equal length."""
    return replace(buckets, x=x, columns={**buckets.columns, "x": values})


def kept(buckets: Buckets, mask: NDArray[np.bool_]) -> Buckets:
    """Only the buckets where the mask is true."""
    if mask.all():
        return buckets
    places = np.cumsum(mask) - 1
    marks = tuple((kind, places[at[mask[at]]]) for kind, at in buckets.marks)
    columns = {name: column[mask] for name, column in buckets.columns.items()}
    return replace(buckets, columns=columns, marks=tuple(mark for mark in marks if len(mark[1])))
