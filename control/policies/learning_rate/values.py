"""Rates and falls as numbers and as words."""

from control.proposals import TunableView


def number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def bounded(value: float, rate: TunableView) -> float:
    if rate.low is not None:
        value = max(value, rate.low)
    if rate.high is not None:
        value = min(value, rate.high)
    return float(f"{value:.4g}")


def came(metric: str, gain: float, falls: bool) -> str:
    """How far a metric came the way that it should: "loss fell by 5.6 %", or rose where that is so."""
    word = "fell" if (gain >= 0) == falls else "rose"
    return f"{metric} {word} by {100 * abs(gain):.2g} %"


def moved(by: float) -> str:
    """How far a metric moved: "24 % lower", "19 % higher"."""
    return f"{percent(by)} {'lower' if by < 0 else 'higher'}"


def percent(fall: float) -> str:
    return f"{100 * abs(fall):.2g} %"
