"""Rates and falls as numbers and as words."""

import math

from control.proposals import TunableView

LOG_2, MOST = math.log(2), 50.0


def number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def bounded(value: float, rate: TunableView) -> float:
    if rate.low is not None:
        value = max(value, rate.low)
    if rate.high is not None:
        value = min(value, rate.high)
    return float(f"{value:.4g}")


def came(metric: str, gain: float, falls: bool) -> str:
    """How far a metric came the way that it should: "loss fell by 5.5 %", or rose where that is so.

    gain: of its logarithm. falls: whether less is better.
    """
    by = -gain if falls else gain
    return f"{metric} {'fell' if by < 0 or (not by and falls) else 'rose'} by {percent(share(by))}"


def moved(by: float, log: bool) -> str:
    """How far a metric moved: "24 % lower", "3.1 times as high". by: of its logarithm, else in its scatter's widths."""
    if not log:
        return f"{abs(by):.2g} of its scatter {'lower' if by < 0 else 'higher'}"
    if by >= LOG_2:
        times = share(by) + 1
        return f"{times:,.0f} times as high" if times >= 10 else f"{times:.2g} times as high"
    return f"{percent(share(by))} {'lower' if by < 0 else 'higher'}"


def share(by: float) -> float:
    """By what share a metric moves whose logarithm moves by this."""
    return math.expm1(min(by, MOST))


def percent(fall: float) -> str:
    size = abs(fall)
    return f"{math.floor(1000 * size) / 10:g} %" if 0.99 < size < 1 else f"{100 * size:.2g} %"
