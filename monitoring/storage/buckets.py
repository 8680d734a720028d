"""What a chart gets: buckets of one key on one branch, as columns ready for JSON."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from monitoring.plain import numbers

from .batches import Points
from .rollups import Rows

KINDS = (("nan", "NaN"), ("plus_inf", "Infinity"), ("minus_inf", "-Infinity"))


@dataclass(frozen=True)
class Buckets:
    """columns: x, step, time, min, max, mean, last, count, of one length; see docs/contracts.md section 4."""

    source: str
    key: str
    branch: int
    faded: bool
    x: str
    bucket: int
    exact: bool
    columns: dict[str, list[Any]]
    non_finite: list[dict[str, Any]]

    def as_map(self) -> dict[str, Any]:
        return dict(vars(self))


def of_points(source: str, key: str, branch: int, faded: bool, points: Points) -> Buckets:
    """Each point as a bucket of its own, in order of step and arrival."""
    order = np.argsort(points.steps, kind="stable")
    steps, times, values = points.steps[order], points.times[order], points.values[order]
    finite = np.isfinite(values)
    shown = [value if good else None for value, good in zip(values.tolist(), finite.tolist(), strict=True)]
    columns = {
        "x": steps.tolist(),
        "step": steps.tolist(),
        "time": times.tolist(),
        "min": shown,
        "max": shown,
        "mean": shown,
        "last": numbers(values.tolist()),
        "count": [1] * len(steps),
    }
    marks = [
        {"step": int(steps[at]), "x": int(steps[at]), "kind": word(values[at])}
        for at in np.flatnonzero(~finite).tolist()
    ]
    return Buckets(source, key, branch, faded, "step", 1, True, columns, marks)


def of_rows(source: str, key: str, branch: int, faded: bool, rows: Rows) -> Buckets:
    """Buckets of 2^k steps; `step` is the first step that the bucket can hold."""
    steps = rows.bucket << rows.k
    finite = rows.count - rows.nan - rows.plus_inf - rows.minus_inf
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = rows.total / finite
    columns = {
        "x": steps.tolist(),
        "step": steps.tolist(),
        "time": rows.last_time.tolist(),
        "min": or_none(rows.low),
        "max": or_none(rows.high),
        "mean": or_none(mean),
        "last": numbers(rows.last.tolist()),
        "count": rows.count.tolist(),
    }
    marks = []
    for name, kind in KINDS:
        at = np.flatnonzero(getattr(rows, name))
        marks += [{"step": step, "x": step, "kind": kind} for step in steps[at].tolist()]
    return Buckets(source, key, branch, faded, "step", 1 << rows.k, False, columns, marks)


def or_none(column: Any) -> list[float | None]:
    good = np.isfinite(column)
    if good.all():
        return list(column.tolist())
    return [value if fine else None for value, fine in zip(column.tolist(), good.tolist(), strict=True)]


def word(value: float) -> str:
    return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def on_axis(buckets: Buckets, x: str, values: list[float]) -> Buckets:
    """The same with another x column, of equal length; marks of non-finite values move along."""
    by_step = dict(zip(buckets.columns["step"], values, strict=True))
    marks = [{**mark, "x": by_step[mark["step"]]} for mark in buckets.non_finite if mark["step"] in by_step]
    return Buckets(
        **{**vars(buckets), "x": x, "columns": {**buckets.columns, "x": values}, "non_finite": marks}
    )


def kept(buckets: Buckets, mask: list[bool]) -> Buckets:
    """Only the buckets where the mask is true."""
    if all(mask):
        return buckets
    columns = {
        name: [value for value, keep in zip(column, mask, strict=True) if keep]
        for name, column in buckets.columns.items()
    }
    steps = set(columns["step"])
    marks = [mark for mark in buckets.non_finite if mark["step"] in steps]
    return Buckets(**{**vars(buckets), "columns": columns, "non_finite": marks})
