"""Which power limit a device should run under: time against energy.

    cost of a sample = eta x energy + (1 - eta) x largest power x time

Source: You, Chung, Chowdhury 2023 (Zeus, NSDI, arXiv 2208.06102), section 3: the cost, and profiling each limit once
while the job trains, since throughput and power change little from step to step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LIMITS = 5  # that are tried, from the greatest down
# A stretch shorter than this is not believed: clocks settle, and power is read once a second.
LEAST_SECONDS = 20.0
# A limit is not tried below one that already costs so much more than the best: the curve has one low point.
HOPELESS = 1.15


@dataclass(frozen=True)
class Tried:
    """What was measured under a limit: samples a second, mean watts, over so many seconds."""

    limit_watts: float
    samples_per_second: float
    watts: float
    seconds: float = LEAST_SECONDS


@dataclass(frozen=True)
class Limit:
    """The limit to set, whether that is to learn or to stay, and why."""

    watts: float
    settled: bool
    why: str


def cost(tried: Tried, eta: float, largest_watts: float) -> float:
    """Joules' worth a sample."""
    return (eta * tried.watts + (1 - eta) * largest_watts) / tried.samples_per_second


def limits(low: float, high: float) -> list[float]:
    """Those to try, from the greatest down."""
    return [high - (high - low) * step / (LIMITS - 1) for step in range(LIMITS)]


def best_limit(tried: Sequence[Tried], low: float, high: float, eta: float) -> Limit:
    """The next limit to measure, or once enough is known, the one that costs least.

    low, high: what the device allows. eta: 0 counts time alone, 1 energy alone. Raises ValueError for bounds, weights
    or measurements that cannot be.
    """
    if not 0 < low <= high:
        raise ValueError(f"limits of {low}..{high} W; expected 0 < low <= high")
    if not 0 <= eta <= 1:
        raise ValueError(f"eta={eta}; expected 0 (time alone) to 1 (energy alone)")
    for one in tried:
        if not (one.samples_per_second > 0 and one.watts > 0):
            raise ValueError(f"{one} cannot be: expected throughput and power above 0")
    # Of one limit, the newest counts; outside of what is allowed now, none does.
    known = {one.limit_watts: one for one in tried
             if one.seconds >= LEAST_SECONDS and low <= one.limit_watts <= high}  # fmt: skip
    costs = {limit: cost(one, eta, high) for limit, one in known.items()}
    least = min(costs.values(), default=0.0)
    for limit in limits(low, high):
        if any(abs(limit - other) < (high - low) / (2 * LIMITS) + 1e-9 for other in known):
            continue
        nearest = min((other for other in known if other > limit), default=None)
        if nearest is not None and costs[nearest] > HOPELESS * least:
            break
        return Limit(limit, False, f"{limit:.0f} W was not measured yet under this training")
    limit = min(costs, key=lambda other: (costs[other], -other))
    chosen, top = known[limit], known[max(known)]
    saved = 1 - (chosen.watts / chosen.samples_per_second) / (top.watts / top.samples_per_second)
    slower = top.samples_per_second / chosen.samples_per_second - 1
    why = f"{limit:.0f} W costs least at eta {eta:g}, of {len(known)} limits that were measured"
    if limit != top.limit_watts:
        why += f": {saved:.0%} less energy a sample than at {top.limit_watts:.0f} W, {slower:.1%} more time"
    return Limit(limit, True, why)
