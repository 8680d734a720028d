"""From what a script logs to packed columns; all but `freeze` runs in the link's thread, off the training path."""

import math
import operator
import re
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .protocol import MAX_KEY_LENGTH, MAX_KEYS_PER_RUN, MAX_STEP, PackedColumn

FAST = frozenset({float, int, bool})
WHOLE = frozenset({int})
TEXT = frozenset({str})
# What no key may hold: control characters, and halves of UTF-16 pairs, which UTF-8 cannot write.
UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
DEEPEST = 8
# The run has keys that are not this process's: other ranks', and the site's own.
MAX_KEYS = MAX_KEYS_PER_RUN - 1000


class Odd(NamedTuple):
    """In place of a value that cannot be logged: what it was."""

    what: str


class OnDevice(NamedTuple):
    """A copy of a GPU's number, and the event after which it is there."""

    copy: Any
    ready: Any


def freeze(value: Any) -> Any:
    """The value as it is now: a later change is not seen, and no device is waited for. Never raises."""
    try:
        if isinstance(value, float | int):
            return value
        if isinstance(value, Mapping):
            return {key: each if type(each) in FAST else freeze(each) for key, each in value.items()}
        count = getattr(value, "numel", None) or getattr(value, "size", 1)
        size = count() if callable(count) else count
        if isinstance(size, int) and size != 1:
            return Odd(f"{type(value).__name__} of {size} elements")
        if hasattr(value, "detach"):
            return frozen_tensor(value.detach().clone())
        return value.copy() if hasattr(value, "dtype") else value
    except Exception as error:  # noqa: BLE001  whatever a user's type does when it is looked at must not end the training
        return Odd(f"{type(value).__name__} ({type(error).__name__} as it was copied)")


def frozen_tensor(copy: Any) -> Any:
    if not getattr(copy, "is_cuda", False):
        return copy
    # The copy is only queued, on a stream that the link's thread does not wait for by itself.
    cuda = sys.modules["torch"].cuda
    ready = cuda.Event()
    ready.record(cuda.current_stream(copy.device))
    return OnDevice(copy, ready)


def as_number(value: Any) -> float | None:
    """A float from a number, a numpy scalar or a one-element tensor; None for anything else. Never raises."""
    if type(value) is float:
        return value
    try:
        if isinstance(value, int):
            return int_as_float(int(value))
        if isinstance(value, OnDevice):
            value.ready.synchronize()
            return float(value.copy.item())
        if isinstance(value, str | bytes | bytearray | Odd):
            return None
        item = getattr(value, "item", None)
        if item is not None:
            value = item()
            return int_as_float(value) if isinstance(value, int) else float(value)
        return float(value) if hasattr(value, "__float__") else None
    except Exception:  # noqa: BLE001  a user's __float__ may raise anything; the link's thread must live
        return None


def packed_numbers(values: Sequence[Any]) -> bytes | None:
    """Float64 of what are all numbers; None where one is not. Never raises."""
    if not FAST.issuperset(map(type, values)):
        values = [as_number(value) for value in values]
        if None in values:
            return None
    try:
        return little(array("d", values))
    except OverflowError:  # an int beyond the largest float
        return little(array("d", map(int_as_float, values)))


def int_as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:  # beyond the largest float
        return math.inf if value > 0 else -math.inf


def as_step(step: Any) -> int | None:
    """The step as an int, for numpy's and torch's integers and for 3.0 too; None for what is no step."""
    try:
        if not isinstance(step, int) and hasattr(step, "is_integer") and step.is_integer():
            step = int(step)
        whole = operator.index(step)
    except Exception:  # noqa: BLE001  as above
        return None
    return whole if 0 <= whole <= MAX_STEP else None


def shown(value: Any) -> str:
    """A short text of anything for a message. Never raises."""
    try:
        return f"{value!r:.80}"
    except Exception:  # noqa: BLE001  as above
        return type(value).__name__


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


def little(numbers: "array[Any]") -> bytes:
    """The array's bytes as the wire has them."""
    if sys.byteorder != "little":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


Record = tuple[Any, float, Any]  # step, time, items
Piece = tuple[bytes, bytes, bytes]  # steps, times, values of one key, in the order logged


class Table:
    """Turns records (step, time, items) into packed columns; a bad value costs itself alone and a complaint.

    A script logs the same keys at each step: such calls, one after the other, become columns in one go.
    """

    def __init__(self, complaints: Complaints) -> None:
        self.complaints = complaints
        self._names: set[str] = set()  # keys that were found fit
        self._open: dict[str, list[Piece]] = {}

    def columns(self, records: Iterable[Record]) -> list[PackedColumn]:
        keys: tuple[Any, ...] = ()
        same: list[Record] = []  # with these keys, and values in place of items
        for step, at, items in records:
            names, values = zip(*items, strict=True) if items else ((), ())
            if not TEXT.issuperset(map(type, names)):
                self._together(keys, same)
                same = []
                self._apart(step, at, items)
                continue
            if names != keys:
                self._together(keys, same)
                keys, same = names, []
            same.append((step, at, values))
        self._together(keys, same)
        found = [
            PackedColumn(key, *(pieces[0] if len(pieces) == 1 else map(b"".join, zip(*pieces, strict=True))))
            for key, pieces in self._open.items()
        ]
        self._open = {}
        return found

    def _together(self, keys: tuple[str, ...], records: list[Record]) -> None:
        if not keys or not records:
            return
        steps, times, rows = zip(*records, strict=True)
        columns: list[bytes | None] = [None]
        if (
            self._names.issuperset(keys)
            and WHOLE.issuperset(map(type, steps))
            and min(steps) >= 0
            and max(steps) <= MAX_STEP
        ):
            columns = [packed_numbers(values) for values in zip(*rows, strict=True)]
        if None in columns:
            for step, at, values in records:
                self._apart(step, at, zip(keys, values, strict=True))
            return
        packed_steps, packed_times = little(array("q", steps)), little(array("d", times))
        for key, packed in zip(keys, columns, strict=True):
            self._open.setdefault(key, []).append((packed_steps, packed_times, packed or b""))

    def _apart(self, step: Any, at: float, items: Iterable[tuple[Any, Any]]) -> None:
        if type(step) is not int or not 0 <= step <= MAX_STEP:
            whole = as_step(step)
            if whole is None:
                self.complaints.add(
                    "step", f"step {shown(step)} was not logged: expected a whole number from 0 to 2^53"
                )
                return
            step = whole
        packed_step, packed_time = little(array("q", (step,))), little(array("d", (at,)))
        for key, value in items:
            self._take(packed_step, packed_time, key, value, 0)

    def _take(self, step: bytes, at: bytes, key: Any, value: Any, depth: int) -> None:
        if not isinstance(key, str) or not key:
            self.complaints.add("key", f"key {shown(key)} was not logged: expected text")
            return
        key = str.__str__(key)  # out of an enumeration's member: its text
        if isinstance(value, Mapping):
            if depth >= DEEPEST:
                self.complaints.add(
                    "depth", f"{key[:80]!r} was not logged: nested deeper than {DEEPEST} levels"
                )
                return
            for name, each in value.items():
                self._take(step, at, f"{key}/{name}" if isinstance(name, str) else name, each, depth + 1)
            return
        if not self._fit(key):
            return
        number = as_number(value)
        if number is None:
            what = value.what if isinstance(value, Odd) else type(value).__name__
            self.complaints.add("value", f"{key[:80]!r} was not logged: {what} is not a number")
            return
        self._open.setdefault(key, []).append((step, at, little(array("d", (number,)))))

    def _fit(self, key: str) -> bool:
        if key in self._names:
            return True
        if len(key) > MAX_KEY_LENGTH or UNFIT.search(key):
            self.complaints.add(
                "name",
                f"key {key[:80]!r}… was not logged: expected 1 to {MAX_KEY_LENGTH} characters, none of control",
            )
            return False
        if len(self._names) >= MAX_KEYS:
            self.complaints.add(
                "keys", f"key {key[:80]!r} was not logged: a process may log {MAX_KEYS} different keys"
            )
            return False
        self._names.add(key)
        return True
