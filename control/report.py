"""What one tick did."""

from dataclasses import dataclass


@dataclass
class TickReport:
    """What one tick did, for logs and tests."""

    runs: int = 0
    decided: int = 0
    blocked: int = 0
    applied: int = 0
    judged: int = 0
    undone: int = 0
    expired: int = 0
    compared: int = 0  # forecasts of not acting, where nothing was done
    learned: int = 0
    problems: int = 0
    skipped: bool = False  # another tick held the lease
