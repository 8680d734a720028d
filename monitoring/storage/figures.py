"""Figures over all points of a key: what a list of keys shows without reading a point."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .batches import Points


@dataclass(frozen=True)
class KeyInfo:
    """low and high: over finite values, None without any. last_value: at the greatest step, latest to arrive."""

    key: str
    points: int = 0
    first_step: int | None = None
    last_step: int | None = None
    first_time: float | None = None
    last_time: float | None = None
    last_value: float | None = None
    low: float | None = None
    high: float | None = None
    non_finite: int = 0
    last_branch: int = 0


def of_points(key: str, branch: int, points: Points) -> KeyInfo:
    """Figures of at least one point."""
    finite = points.values[np.isfinite(points.values)]
    # The last of the greatest steps: the one that arrived last.
    newest = len(points.steps) - 1 - int(np.argmax(points.steps[::-1]))
    return KeyInfo(
        key,
        points=points.size,
        first_step=int(points.steps.min()),
        last_step=int(points.steps[newest]),
        first_time=float(points.times.min()),
        last_time=float(points.times[newest]),
        last_value=float(points.values[newest]),
        low=float(finite.min()) if len(finite) else None,
        high=float(finite.max()) if len(finite) else None,
        non_finite=points.size - len(finite),
        last_branch=branch,
    )


def join(old: KeyInfo, new: KeyInfo) -> KeyInfo:
    """Both together; `new` arrived later. A newer branch's last point wins over an older branch's."""
    if not old.points:
        return new
    if not new.points:
        return old
    later = new if (new.last_branch, new.last_step or 0) >= (old.last_branch, old.last_step or 0) else old
    return KeyInfo(
        old.key,
        points=old.points + new.points,
        first_step=least(old.first_step, new.first_step),
        last_step=later.last_step,
        first_time=least(old.first_time, new.first_time),
        last_time=later.last_time,
        last_value=later.last_value,
        low=least(old.low, new.low),
        high=most(old.high, new.high),
        non_finite=old.non_finite + new.non_finite,
        last_branch=max(old.last_branch, new.last_branch),
    )


def least(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else min(a, b)


def most(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else max(a, b)


def as_json(info: KeyInfo) -> dict[str, Any]:
    """For the database: a non-finite last value as its word, because JSON has no such numbers."""
    found = asdict(info)
    del found["key"]
    value = info.last_value
    if value is not None and not math.isfinite(value):
        found["last_value"] = repr(value)
    return found


def from_json(key: str, found: dict[str, Any]) -> KeyInfo:
    value = found.get("last_value")
    return KeyInfo(key, **{**found, "last_value": None if value is None else float(value)})
