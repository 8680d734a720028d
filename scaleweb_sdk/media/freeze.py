"""A copy of what a script hands over, made in its own thread: what it changes later is not seen."""

import io
from pathlib import Path
from typing import Any, NamedTuple

from scaleweb_sdk.points import UNFIT, OnDevice, frozen_tensor
from scaleweb_sdk.protocol import MAX_KEY_LENGTH


class Unusable(ValueError):
    """What was given cannot be logged as this kind; the message says what would do."""


MOST_ROWS = 10_000


class Rows(NamedTuple):
    """The first rows of a table, and how many it had: no more than these is copied."""

    first: Any
    given: int


class FileCopy(NamedTuple):
    """A file to be copied by the thread."""

    path: Path


def fault_of_key(key: Any) -> str:
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY_LENGTH:
        return f"expected a key of 1 to {MAX_KEY_LENGTH} characters"
    return "a key holds no control characters" if UNFIT.search(key) else ""


def is_several(values: Any) -> bool:
    """Whether a list is several items, and not one of nested numbers."""
    first = values[0] if values else None
    return not isinstance(first, int | float) and not (
        isinstance(first, list | tuple) and first and isinstance(first[0], int | float | list | tuple)
    )


def freeze(kind: str, value: Any, how: dict[str, Any]) -> tuple[Any, int]:
    """(copy, about how many bytes it takes). Raises Unusable."""
    if kind == "text":
        text = str(value)
        return text, len(text)
    if isinstance(value, str | Path) and kind != "histogram":
        path = Path(value)
        if kind != "table":
            if not path.is_file():
                raise Unusable(f"there is no file {str(path)[:200]}")
            return FileCopy(path.absolute()), 0
    if kind == "file":
        raise Unusable(f"expected the path of a file, got {type(value).__name__}")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), len(value)
    if kind == "image" and hasattr(value, "savefig"):
        # A figure belongs to the thread that draws it.
        page = io.BytesIO()
        value.savefig(page, format="png")
        return page.getvalue(), page.tell()
    return copied_rows(value) if kind == "table" else copied(value)


def copied_rows(value: Any) -> tuple[Any, int]:
    if isinstance(value, dict):
        given = max((len(column) for column in value.values()), default=0)
        return Rows({name: list(column[:MOST_ROWS]) for name, column in value.items()}, given), 64 * given
    if hasattr(value, "itertuples"):
        return Rows(value.head(MOST_ROWS).copy(), len(value)), 64 * min(len(value), MOST_ROWS) * len(
            value.columns
        )
    if not hasattr(value, "__len__"):
        raise Unusable("a table is rows (lists or maps), a map of columns, or a data frame")
    first, size = copied(value[:MOST_ROWS])
    return Rows(first, len(value)), size


def copied(value: Any) -> tuple[Any, int]:
    if hasattr(value, "detach"):
        tensor = value.detach().clone()
        return frozen_tensor(tensor), int(tensor.numel()) * int(tensor.element_size())
    if hasattr(value, "copy") and (hasattr(value, "nbytes") or hasattr(value, "size")):
        taken = value.copy()  # numpy, PIL
        size = getattr(taken, "nbytes", None)
        if size is None:
            wide, high = taken.size if isinstance(taken.size, tuple) else (1000, 1000)
            size = 4 * wide * high
        return taken, int(size)
    if isinstance(value, list | tuple):
        return [list(row) if isinstance(row, list | tuple) else row for row in value], (64 * len(value))
    raise Unusable(f"{type(value).__name__} is not something that can be logged like this")


def arrived(value: Any) -> Any:
    """In the thread: a copy on a GPU, once it is there, on the host."""
    if isinstance(value, OnDevice):
        value.ready.synchronize()
        value = value.copy
    if hasattr(value, "detach"):
        value = value.cpu()
        if str(value.dtype) in {"torch.bfloat16", "torch.float16"}:
            value = value.float()
    return value
