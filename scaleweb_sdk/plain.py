"""JSON-like data out of anything that a script hands over. Nothing in here raises."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from .points import as_number

LONGEST_TEXT = 10_000
DEEPEST = 16


def plain(value: Any, depth: int = 0) -> Any:
    """What the wire and JSON can hold: unknown types become their text, too deep nesting too."""
    try:
        return converted(value, depth)
    except Exception as error:  # noqa: BLE001  a user's type may raise anything when it is looked at
        return f"<{type(value).__name__}: {type(error).__name__}>"


def converted(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        # MessagePack has 64 bits.
        return (
            int(value) if -(2**63) <= value < 2**63 else f"{float(value):g}" if abs(value) < 1e308 else "huge"
        )
    if isinstance(value, float):
        # JSON has no such numbers; a config that holds one keeps it as a word.
        return float(value) if math.isfinite(value) else str(float(value))
    if depth < DEEPEST:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return {
                text(key) if isinstance(key, str) else text(str(key)): plain(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [plain(item, depth + 1) for item in value]
    number = as_number(value)
    return text(str(value)) if number is None else plain(number)


def text(value: str) -> str:
    """The text, at most 10,000 characters of it, with what UTF-8 cannot write (names of odd files) replaced."""
    value = str.__str__(value[:LONGEST_TEXT])
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def mapping(value: Any) -> dict[str, Any] | None:
    """A configuration given as a map, a dataclass or a namespace such as argparse's; None for anything else."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif not isinstance(value, Mapping):
        value = getattr(value, "__dict__", None)
    return None if value is None else dict(value)
