"""Energy from power readings: pure."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Two readings further apart than this say nothing of what was drawn between them. One comes every second.
GAP_SECONDS = 15.0


@dataclass(frozen=True)
class Drawn:
    """joules over the `covered_seconds` for which there were readings."""

    joules: float = 0.0
    covered_seconds: float = 0.0

    def __add__(self, other: "Drawn") -> "Drawn":
        return Drawn(self.joules + other.joules, self.covered_seconds + other.covered_seconds)


def drawn(times: npt.ArrayLike, watts: npt.ArrayLike, start: float, end: float) -> Drawn:
    """What a device drew from `start` to `end` (seconds, as `times`): the area under lines between its readings.

    Readings may come in any order, twice, or not at all; where two neighbours are over GAP_SECONDS apart nothing
    is counted, nor is it called covered.
    """
    at, power = np.asarray(times, dtype=np.float64), np.asarray(watts, dtype=np.float64)
    usable = np.isfinite(at) & np.isfinite(power)
    at, power = at[usable], power[usable]
    at, first = np.unique(at, return_index=True)
    power = power[first]
    if len(at) < 2 or end <= start:
        return Drawn()
    low, high = np.clip(at[:-1], start, end), np.clip(at[1:], start, end)
    width = np.where(np.diff(at) <= GAP_SECONDS, high - low, 0.0)
    middle = np.interp((low + high) / 2, at, power)
    return Drawn(float((width * middle).sum()), float(width.sum()))
