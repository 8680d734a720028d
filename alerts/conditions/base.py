"""What a condition is made of: a track of points in, the spans of time for which it held out. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Track:
    """Points of one key in order of time: seconds since the epoch, steps, values; all of one length."""

    times: Floats
    steps: NDArray[np.int64]
    values: Floats

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class Span:
    """From when to when a condition held; `end` None: it still does. `value` and `step` as it began."""

    start: float
    end: float | None
    value: float | None = None
    step: int | None = None
    message: str = ""


class OverSeries(Protocol):
    """A condition over points. Its subclasses are msgspec structs: the fields are the rule's parameters."""

    key: str

    def lookback(self) -> float | None:
        """Seconds of points before a moment that decide about it; None: all there are."""

    def spans(self, track: Track, until: float, live: bool) -> list[Span]:
        """When it held up to `until`. live: whether further points may come, so that their absence says something."""


def spans_where(mask: Mask, track: Track) -> list[Span]:
    """A span for each unbroken stretch of true points, up to the first point after it."""
    if not mask.any():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    found = []
    for first, behind in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        end = float(track.times[behind]) if behind < len(track) else None
        found.append(
            Span(float(track.times[first]), end, float(track.values[first]), int(track.steps[first]))
        )
    return found


def held(spans: Sequence[Span], hold: float, until: float) -> list[Span]:
    """Those that lasted `hold` seconds by `until`; without a hold all, whatever the sender's clock says."""
    if hold <= 0:
        return list(spans)
    return [span for span in spans if (until if span.end is None else span.end) - span.start >= hold]


def say(spans: Sequence[Span], words: Any) -> list[Span]:
    return [replace(span, message=words(span)) for span in spans]


def figure(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4g}"
