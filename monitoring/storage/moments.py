"""Which step a source was at at a time, and when it came to a step."""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import series

WIDTH = 64
NARROWINGS = 6


def step_at(source: str, moment: float) -> tuple[int, float] | None:
    """(step, time) of the last point up to a time, else of the first; None without points."""
    return nearest(source, lambda part: part.columns["time"] <= moment)


def time_at(source: str, step: int) -> tuple[int, float] | None:
    """(step, time) of the last point up to a step, else of the first; None without points."""
    return nearest(source, lambda part: part.columns["step"] <= step)


def nearest(source: str, before: Callable[[Any], Any]) -> tuple[int, float] | None:
    keys = series.keys(source)
    if not keys:
        return None
    # The key with the most points is read by nobody's taste: it is where steps lie closest.
    key = max(keys, key=lambda info: (info.points, info.last_step or 0)).key
    low, high = 0.0, None
    best: tuple[int, float] | None = None
    for _ in range(NARROWINGS):
        parts = series.read(source, [key], width=WIDTH, start=low, end=high)
        # What a roll back left behind was written too, at its own time: the newest branch that was there counts.
        if not parts:
            break
        chosen, place = None, -1
        for part in parts:
            found = np.flatnonzero(before(part))
            if len(found) and (
                chosen is None or part.columns["time"][found[-1]] > chosen.columns["time"][place]
            ):
                chosen, place = part, int(found[-1])
        if chosen is None:
            first = min(parts, key=lambda part: part.columns["step"][0])
            at = int(first.columns["step"][0])
            if first.exact or best:
                return best or (at, float(first.columns["time"][0]))
            high = float(at + first.bucket)
            continue
        best = int(chosen.columns["step"][place]), float(chosen.columns["time"][place])
        if chosen.exact:
            break
        # A bucket tells of its last point: the one sought may lie in the next one.
        low, high = float(best[0]), float(best[0] + 2 * chosen.bucket)
    return best
