"""What a measured change of the algorithm says, in figures and in words. Pure. Tables: docs/contracts.md, "Offers"."""

import math
from collections.abc import Mapping
from typing import Any

from control.proposals import Expected, Measurement


def share_of(seen: Measurement) -> float:
    amount = seen.value.get("amount")
    return float(amount) if isinstance(amount, int | float) else 0.0


def side(seen: Measurement, which: str) -> Mapping[str, Any]:
    found = seen.table.get(which)
    return found if isinstance(found, Mapping) else {}


def number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def pair(seen: Measurement, name: str) -> tuple[float, float] | None:
    """A figure before and after; of the metrics where it has no other name. None unless both are numbers."""
    found = []
    for which in ("before", "after"):
        figures = side(seen, which)
        metrics = figures.get("metrics")
        value = number(figures.get(name, metrics.get(name) if isinstance(metrics, Mapping) else None))
        if value is None:
            return None
        found.append(value)
    return found[0], found[1]


def faster(seen: Measurement) -> float | None:
    """How many more samples a second a training pass takes, as a ratio."""
    seconds = pair(seen, "training_seconds")
    return seconds[0] / seconds[1] - 1 if seconds and seconds[1] > 0 else None


def effect(seen: Measurement, metric: str) -> Expected:
    """What the table says of the metric, with what the bound leaves open on both sides.

    Where another metric is judged than was measured, the bound's share of the measured one stands for it.
    """
    held = str(seen.table.get("metric", ""))
    bound = abs(number(seen.table.get("bound")) or 0.0)
    judged, measured = pair(seen, metric), pair(seen, held)
    scale = abs(measured[0]) if measured and measured[0] else 1.0
    open_ = max(bound / scale, 0.01)
    ratio = judged[1] / judged[0] - 1 if judged and judged[0] else 0.0
    return Expected(ratio, ratio - open_, ratio + open_)


def figures(seen: Measurement) -> dict[str, Any]:
    """The table for the decision's evidence: {name: [before, after]}."""
    held = str(seen.table.get("metric", ""))
    names = ("size_bytes", "packed_bytes", "latency_seconds", "training_seconds", "nonzero_ratio", held)
    found: dict[str, Any] = {name: list(both) for name in names if (both := pair(seen, name)) is not None}
    return {
        **found,
        "measured_step": seen.step,
        "bound": seen.table.get("bound"),
        "worse": seen.table.get("worse"),
    }


def told(seen: Measurement) -> str:
    held = str(seen.table.get("metric", ""))
    words = []
    for name, label, unit, scale in (
        (held, f"{held} ", "", 1.0),
        ("packed_bytes", "", " kB packed", 1e-3),
        ("size_bytes", "", " kB", 1e-3),
        ("latency_seconds", "", " ms", 1e3),
    ):
        both = pair(seen, name)
        if both is not None and (name == held or both[0] != both[1]):
            words.append(f"{label}{both[0] * scale:.4g} → {both[1] * scale:.4g}{unit}")
    return ", ".join(words)
