"""A figure above or below a limit: the last one, or the mean, least or greatest of a window."""

from typing import Annotated, Literal

import msgspec
import numpy as np

from .base import Floats, Span, Track, figure, say, spans_where

Window = Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    limit: float
    is_: Literal["above", "below"] = msgspec.field(name="is", default="above")
    # Divides the figure by another key at the same step: waiting by step time, used by total.
    per: Annotated[str, msgspec.Meta(max_length=300)] = ""
    of: Literal["last", "mean", "min", "max"] = "last"
    window_seconds: Window = 0.0

    def lookback(self) -> float:
        return self.window_seconds

    def spans(self, track: Track, until: float, live: bool) -> list[Span]:
        values = windowed(track, self.of, self.window_seconds)
        with np.errstate(invalid="ignore"):
            mask = values > self.limit if self.is_ == "above" else values < self.limit
        if self.window_seconds:
            # Until a window is full, a single point would speak for it.
            mask &= track.times >= track.times[0] + self.window_seconds if len(track) else mask
        return say(
            spans_where(mask, Track(track.times, track.steps, values)),
            lambda span: f"{self.named()} {figure(span.value)}, {self.is_} {figure(self.limit)}",
        )

    def named(self) -> str:
        what = f"{self.key} / {self.per}" if self.per else self.key
        return what if self.of == "last" else f"{self.of} of {what} over {self.window_seconds:g} s"


def windowed(track: Track, of: str, seconds: float) -> Floats:
    """The figure at each point over the window that ends there. NaN points count in none but "last"."""
    if of == "last" or not seconds or not len(track):
        return track.values
    first = np.searchsorted(track.times, track.times - seconds, side="right")
    good = np.isfinite(track.values)
    if of == "mean":
        sums = np.concatenate([[0.0], np.cumsum(np.where(good, track.values, 0.0))])
        counts = np.concatenate([[0], np.cumsum(good)])
        here = np.arange(1, len(track) + 1)
        number = counts[here] - counts[first]
        return np.where(number > 0, (sums[here] - sums[first]) / np.maximum(number, 1), np.nan)
    pick, worst = (np.minimum, np.inf) if of == "min" else (np.maximum, -np.inf)
    values = np.where(good, track.values, worst)
    # Pairs (from, to) for reduceat: every second answer is a window, those between are left aside.
    bounds = np.stack([first, np.arange(1, len(track) + 1)], axis=1).ravel()
    found = pick.reduceat(np.append(values, worst), bounds)[::2]
    return np.where(np.isfinite(found), found, np.nan)
