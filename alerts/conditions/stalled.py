"""A run that lives and sends no points: its training hangs, or waits for something."""

from typing import Annotated

import msgspec
import numpy as np

from .base import Span, Track


class Stalled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seconds: Annotated[float, msgspec.Meta(ge=5, le=30 * 86_400)] = 600.0
    # Any key tells that steps go on; this one where others (a heartbeat of the script's) would hide a hang.
    key: Annotated[str, msgspec.Meta(max_length=300)] = ""

    def lookback(self) -> float:
        return self.seconds

    def spans(self, track: Track, until: float, live: bool) -> list[Span]:
        if not len(track):
            return []
        ends = np.append(track.times[1:], until if live else track.times[-1])
        found = []
        for place in np.flatnonzero(ends - track.times > self.seconds).tolist():
            step = int(track.steps[place])
            start = float(track.times[place]) + self.seconds
            last = place == len(track) - 1
            message = f"no point for {self.seconds:g} s after step {step:,}"
            found.append(Span(start, None if last else float(ends[place]), None, step, message))
        return found
