"""A GPU's power limit: what it is, what the card allows, and setting it where this user may.

    python -m monitoring.hardware.power [--gpu 0 (--watts 450 | --reset)]

NVML wants root for it (nvmlDeviceSetPowerManagementLimit); a limit lasts until the driver is loaded again.
"""

import argparse
import sys
from dataclasses import dataclass
from typing import Any

from . import nvml


class LimitRefused(Exception):
    """The limit was not set; the message says why and what would do."""


@dataclass(frozen=True)
class PowerLimit:
    """Watts: the limit in force, the card's own default, and what it allows."""

    watts: float
    default_watts: float
    low_watts: float
    high_watts: float


def power_limit(gpus: nvml.Gpus, index: int) -> PowerLimit:
    """Raises LimitRefused where the card has no such limit, or is not there."""
    n, handle = gpus.nvml, card(gpus, index)
    try:
        low, high = n.nvmlDeviceGetPowerManagementLimitConstraints(handle)
        now = n.nvmlDeviceGetPowerManagementLimit(handle)
        default = n.nvmlDeviceGetPowerManagementDefaultLimit(handle)
    except n.NVMLError as error:
        raise LimitRefused(f"GPU {index} does not tell its power limit: {error}") from None
    return PowerLimit(now / 1e3, default / 1e3, low / 1e3, high / 1e3)


def set_power_limit(gpus: nvml.Gpus, index: int, watts: float | None) -> PowerLimit:
    """Set a limit, or the card's default for None; returns what is in force then. Raises LimitRefused."""
    n, known = gpus.nvml, power_limit(gpus, index)
    wanted = known.default_watts if watts is None else watts
    if not known.low_watts <= wanted <= known.high_watts:
        raise LimitRefused(
            f"GPU {index}: {wanted:g} W is outside of what the card allows, "
            f"{known.low_watts:g}..{known.high_watts:g} W"
        )
    try:
        n.nvmlDeviceSetPowerManagementLimit(card(gpus, index), round(wanted * 1e3))
    except n.NVMLError_NoPermission:
        raise LimitRefused(
            f"GPU {index}: the driver lets only root set a power limit; run this as root, or leave it at "
            f"{known.watts:g} W"
        ) from None
    except n.NVMLError as error:
        raise LimitRefused(f"GPU {index}: the driver refused {wanted:g} W: {error}") from None
    return power_limit(gpus, index)


def card(gpus: nvml.Gpus, index: int) -> Any:
    if not 0 <= index < len(gpus.handles):
        there = f"0..{len(gpus.handles) - 1}" if gpus.handles else "none"
        raise LimitRefused(f"there is no GPU {index} on this host; there is {there}")
    if gpus.handles[index] is None:
        raise LimitRefused(f"GPU {index} cannot be opened; see the node's page for why")
    return gpus.handles[index]


def main(arguments: list[str] | None = None, gpus: nvml.Gpus | None = None) -> int:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--gpu", type=int, help="its index; all are shown without")
    change = asked.add_mutually_exclusive_group()
    change.add_argument("--watts", type=float)
    change.add_argument("--reset", action="store_true", help="the card's own default")
    options = asked.parse_args(arguments)
    changing = options.watts is not None or options.reset
    if changing and options.gpu is None:
        asked.error("--watts and --reset need --gpu: which one")
    gpus = gpus or nvml.Gpus(nvml.load())
    if not gpus.handles:
        print("this host has no GPU that NVML can see", file=sys.stderr)
        return 1
    refused = False
    for index in range(len(gpus.handles)) if options.gpu is None else [options.gpu]:
        try:
            found = set_power_limit(gpus, index, options.watts) if changing else power_limit(gpus, index)
        except LimitRefused as error:
            print(error, file=sys.stderr)
            refused = True
            continue
        print(
            f"GPU {index}: {found.watts:g} W (default {found.default_watts:g}, "
            f"allowed {found.low_watts:g}..{found.high_watts:g})"
        )
    return int(refused)


if __name__ == "__main__":
    raise SystemExit(main())
