"""How much longer a step takes on a node in trouble, from its latest readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# A host whose processors have so much more to do than they can is taken to slow what runs on it.
OVERLOADED_FROM = 1.2
MOST_SLOW = 4.0


def slow_gpus(latest: Sequence[Mapping[str, Any]], usual_clock_hertz: float) -> float:
    """Of a node's GPUs of one kind: the worst throttled one counts, a gang goes at its pace.

    latest: their readings. usual_clock_hertz: the SM clock of such cards when nothing holds them down.
    """
    worst = 1.0
    for reading in latest:
        clock = number(reading.get("sm_clock_hertz"))
        # Idle cards clock down by themselves; only heat or a power brake counts.
        if (number(reading.get("throttle_ratio")) or 0.0) < 0.5 or not clock or not usual_clock_hertz:
            continue
        worst = max(worst, usual_clock_hertz / clock)
    return min(worst, MOST_SLOW)


def slow_host(latest: Mapping[str, Any], cores: float) -> float:
    """Of a node's processors: how much more there is to run than cores to run it."""
    load = number(latest.get("load_1m"))
    if not load or cores <= 0 or load / cores < OVERLOADED_FROM:
        return 1.0
    return min(load / cores, MOST_SLOW)


def number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
