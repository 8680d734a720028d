"""From what a script logs to columns of numbers; runs in the link's thread, off the training path."""

import math
from collections.abc import Iterable
from typing import Any

from .protocol import MAX_KEY_LENGTH, MAX_STEP, Column

FAST = frozenset({float, int, bool})


def freeze(value: Any) -> Any:
    """The value as it is now. A tensor is copied without waiting for its device; a later change is not seen."""
    detach = getattr(value, "detach", None)
    if detach is not None:
        return detach().clone()
    copy = getattr(value, "copy", None)
    return copy() if copy is not None and hasattr(value, "dtype") else value


class Complaints:
    """What was wrong with logged values: counted by kind, said once each."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.fresh: list[str] = []

    def add(self, kind: str, message: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self.counts[kind] == 1:
            self.fresh.append(message)

    def take(self) -> list[str]:
        fresh, self.fresh = self.fresh, []
        return fresh


def columns(records: Iterable[tuple[int, float, Any]], complaints: Complaints) -> list[Column]:
    """Columns of the records (step, time, items); a bad value costs itself alone and a complaint."""
    by_key: dict[str, Column] = {}
    for step, at, items in records:
        if type(step) is not int or not 0 <= step <= MAX_STEP:
            complaints.add("step", f"step {step!r} was not logged: expected a whole number from 0 to 2^53")
            continue
        for key, value in flat(items, complaints):
            column = by_key.get(key)
            if column is None:
                by_key[key] = column = Column(key, [], [], [])
            column.steps.append(step)
            column.times.append(at)
            column.values.append(value)
    return list(by_key.values())


def flat(
    items: Iterable[tuple[Any, Any]], complaints: Complaints, prefix: str = ""
) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for key, value in items:
        if not isinstance(key, str) or not key:
            complaints.add("key", f"key {key!r:.80} was not logged: expected text")
            continue
        name = prefix + key
        if isinstance(value, dict):
            if prefix.count("/") < 8:
                found += flat(value.items(), complaints, f"{name}/")
            else:
                complaints.add("depth", f"{name[:80]!r} was not logged: nested deeper than 8 levels")
            continue
        if len(name) > MAX_KEY_LENGTH or not name.isprintable():
            complaints.add(
                "name",
                f"key {name[:80]!r}… was not logged: expected 1 to {MAX_KEY_LENGTH} printable characters",
            )
            continue
        number = as_number(value)
        if number is None:
            complaints.add("value", f"{name[:80]!r} was not logged: {type(value).__name__} is not a number")
        else:
            found.append((name, number))
    return found


def as_number(value: Any) -> float | None:
    """A float from a number, a numpy scalar or a one-element tensor; None for anything else."""
    if type(value) in FAST:
        try:
            return float(value)
        except OverflowError:  # an int beyond the largest float
            return math.inf if value > 0 else -math.inf
    item = getattr(value, "item", None)
    if isinstance(value, str | bytes) or (item is None and not hasattr(value, "__float__")):
        return None
    try:
        return float(item()) if item is not None else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None
