"""NaN or infinity where a figure should be."""

from typing import Annotated

import msgspec
import numpy as np

from .base import Span, Track, say, spans_where


class NonFinite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=300)] = "loss"

    def lookback(self) -> float:
        return 0.0

    def spans(self, track: Track, until: float, live: bool) -> list[Span]:
        return say(
            spans_where(~np.isfinite(track.values), track),
            lambda span: f"{self.key} became {span.value} at step {span.step}",
        )
