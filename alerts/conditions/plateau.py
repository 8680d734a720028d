"""A metric that no longer improves: its best value is as old as the patience.

The rule of early stopping: a new best must be better by `least_gain`, a share of the best so far.
"""

from typing import Annotated, Literal

import msgspec
import numpy as np

from .base import Span, Track, figure, say, spans_where


class Plateau(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    direction: Literal["min", "max"] = "min"
    patience_steps: Annotated[int, msgspec.Meta(ge=1, le=10**12)] = 1000
    least_gain: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.001

    def lookback(self) -> None:
        return None  # the best may lie anywhere

    def spans(self, track: Track, until: float, live: bool) -> list[Span]:
        if not len(track):
            return []
        sign = 1.0 if self.direction == "min" else -1.0
        best, best_step = np.inf, int(track.steps[0])
        late = np.zeros(len(track), dtype=bool)
        bests = np.full(len(track), np.nan)
        for place, (step, value) in enumerate(zip(track.steps.tolist(), track.values.tolist(), strict=True)):
            if np.isfinite(value) and sign * value < best - self.least_gain * abs(
                best if np.isfinite(best) else 0
            ):
                best, best_step = sign * value, step
            late[place] = step - best_step >= self.patience_steps
            bests[place] = sign * best
        return say(
            spans_where(late, Track(track.times, track.steps, bests)),
            lambda span: (
                f"{self.key} has not improved on {figure(span.value)} for {self.patience_steps:,} steps"
            ),
        )
