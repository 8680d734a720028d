"""Plain JSON out of whatever a process says, so that both databases and every browser can hold it."""

import math
from typing import Any

from scaleweb_sdk.protocol import MAX_STEP

MAX_DEPTH = 32
MAX_TEXT = 100_000


class NotPlain(ValueError):
    """A value that JSON cannot carry; the message says what and where."""


def plain(value: Any, where: str = "value", depth: int = 0) -> Any:
    """The same value as JSON that SQLite and PostgreSQL both store.

    NaN and infinities become the strings "NaN", "Infinity", "-Infinity" (JSON has no such numbers), NUL
    characters become U+FFFD (PostgreSQL refuses them), text beyond 100,000 characters is cut, keys become
    text. Raises NotPlain for bytes, other types, and nesting beyond 32 levels.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        # Past 2^53 a browser cannot tell neighbours apart: the digits survive as text.
        return value if -MAX_STEP <= value <= MAX_STEP else str(value)
    if isinstance(value, float):
        return number(value)
    if depth >= MAX_DEPTH:
        raise NotPlain(f"{where} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {text(str(key)): plain(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    raise NotPlain(f"{where} is {type(value).__name__}; expected text, number, true, false, list or map")


def text(value: str, longest: int = MAX_TEXT) -> str:
    value = value[:longest].replace("\x00", "\ufffd")
    # Half of a surrogate pair is no text that UTF-8 can carry.
    return value if value.isascii() else value.encode(errors="replace").decode()


def number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def numbers(values: list[float]) -> list[float | str]:
    """A column for JSON: the list itself when all values are finite, which is nearly always."""
    # One addition a value finds any NaN or infinity; an overflow of the sum only costs the slow way.
    if math.isfinite(sum(values)):
        return values  # type: ignore[return-value]
    return [number(value) for value in values]
