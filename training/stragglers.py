"""Which rank holds the others up, from the time that each takes before it meets them. Pure.

Ranks that exchange gradients all end a step together, so their step times are alike whoever is slow. What differs is
how long each works alone before the exchange (waiting for data, forward pass): who takes longest there is waited for.
"""

import statistics
from collections.abc import Mapping

# A straggler takes so many times as long as the middle rank, and at least this share of a step more.
SLOWER = 1.25
SHARE_OF_STEP = 0.05


def stragglers(apart_seconds: Mapping[int, float], step_seconds: float | None) -> set[int]:
    """The ranks that hold the others up; none of two that take about equally long, none of one alone."""
    if len(apart_seconds) < 2:
        return set()
    # Of two the faster one is the measure: there is no middle.
    fair = (
        min(apart_seconds.values()) if len(apart_seconds) == 2 else statistics.median(apart_seconds.values())
    )
    least = SHARE_OF_STEP * (step_seconds or 0.0)
    return {
        rank for rank, seconds in apart_seconds.items() if seconds > SLOWER * fair and seconds - fair > least
    }
