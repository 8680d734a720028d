"""From copies to bytes with what is to be known of them; runs in the desk's thread."""

import array
import io
import json
import math
import wave
from typing import Any, NamedTuple

from scaleweb_sdk.plain import plain
from scaleweb_sdk.points import as_number

from .freeze import MOST_ROWS, Rows, Unusable, arrived
from .numbers import Grid, grid, numbers
from .png import png

MOST_COLUMNS = 1000
MOST_BINS = 512
LONGEST_CELL = 2000


class Encoded(NamedTuple):
    body: bytes
    data: dict[str, Any]
    remark: str = ""  # what was left out


def encode(kind: str, value: Any, how: dict[str, Any]) -> Encoded:
    """Raises Unusable, and whatever a user's type raises."""
    value = value._replace(first=arrived(value.first)) if isinstance(value, Rows) else arrived(value)
    if kind == "text":
        return Encoded(value.encode("utf-8", "replace"), {"characters": len(value)})
    if isinstance(value, bytes):
        return Encoded(value, {})
    return {"image": image, "audio": audio, "table": table, "histogram": histogram}[kind](value, how)


def image(value: Any, how: dict[str, Any]) -> Encoded:
    if hasattr(value, "save") and hasattr(value, "mode"):  # PIL
        page = io.BytesIO()
        (value if value.mode in {"1", "L", "LA", "P", "RGB", "RGBA"} else value.convert("RGB")).save(
            page, "PNG"
        )
        return Encoded(page.getvalue(), {"width": value.size[0], "height": value.size[1]})
    found = pixels(grid(value))
    height, width = found.shape[:2]
    return Encoded(png(found), {"width": width, "height": height})


def pixels(found: Grid) -> Grid:
    """Height x width x channels of 0..255."""
    shape = found.shape
    if len(shape) == 2:
        found = found.reshaped((*shape, 1))
    elif len(shape) == 3 and shape[0] in {1, 3, 4} and shape[2] not in {1, 3, 4}:
        found = found.channels_last()
    if len(found.shape) != 3 or found.shape[2] not in {1, 2, 3, 4} or 0 in found.shape:
        raise Unusable(
            f"an image has the shape H x W, H x W x C or C x H x W with 1 to 4 channels, got {shape}"
        )
    return found.as_bytes()


def audio(value: Any, how: dict[str, Any]) -> Encoded:
    rate = as_number(how.get("rate"))
    if rate is None or not 1 <= rate <= 768_000:
        raise Unusable(f"samples need their rate in hertz, such as rate=16000; got {how.get('rate')!r:.40}")
    found = grid(value)
    if len(found.shape) == 2 and found.shape[0] < found.shape[1] and found.shape[0] <= 8:
        found = found.transposed()
    if len(found.shape) not in {1, 2} or 0 in found.shape or (len(found.shape) == 2 and found.shape[1] > 8):
        raise Unusable(f"sound has the shape n, or n x channels, got {found.shape}")
    channels = found.shape[1] if len(found.shape) == 2 else 1
    page = io.BytesIO()
    with wave.open(page, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(int(rate))
        file.writeframes(found.as_samples())
    return Encoded(page.getvalue(), {"rate": int(rate), "seconds": found.shape[0] / rate})


def table(value: Any, how: dict[str, Any]) -> Encoded:
    given = value.given if isinstance(value, Rows) else len(value)
    names, rows = columns_and_rows(value.first if isinstance(value, Rows) else value, how.get("columns"))
    names = names[:MOST_COLUMNS]
    kept = [[cell(each) for each in row[:MOST_COLUMNS]] for row in rows[:MOST_ROWS]]
    for number, row in enumerate(kept):
        if len(row) != len(names):
            raise Unusable(f"row {number} has {len(row)} cells, and there are {len(names)} columns")
    body = json.dumps({"columns": names, "rows": kept}, ensure_ascii=False, separators=(",", ":"))
    given = max(given, len(kept))
    remark = "" if given <= MOST_ROWS else f"of {given} rows the first {MOST_ROWS} were kept"
    data = {"rows": len(kept), "columns": len(names), "rows_given": given}
    return Encoded(body.encode("utf-8", "replace"), data, remark)


def columns_and_rows(value: Any, names: Any) -> tuple[list[str], list[Any]]:
    if hasattr(value, "columns") and hasattr(value, "itertuples"):  # pandas
        return [str(name) for name in value.columns], [list(row) for row in value.itertuples(index=False)]
    if isinstance(value, dict):
        lists = [list(column) for column in value.values()]
        if len({len(column) for column in lists}) > 1:
            raise Unusable("the columns of a table are equally long")
        return [str(name) for name in value], [list(row) for row in zip(*lists, strict=True)]
    rows: list[Any] = value.tolist() if hasattr(value, "tolist") else list(value)
    if rows and all(isinstance(row, dict) for row in rows):
        found = names or list(dict.fromkeys(name for row in rows for name in row))
        return [str(name) for name in found], [[row.get(name) for name in found] for row in rows]
    if any(not isinstance(row, list | tuple) for row in rows):
        raise Unusable("a table is rows (lists or maps), a map of columns, or a data frame")
    wide = len(rows[0]) if rows else 0
    return [str(name) for name in names] if names else [f"column {n + 1}" for n in range(wide)], rows


def cell(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value[:LONGEST_CELL]
    number = as_number(value)
    if number is None:
        return str(plain(value))[:LONGEST_CELL]
    if not math.isfinite(number):
        return str(number)
    return int(number) if isinstance(value, int) and abs(number) < 2**53 else number


def histogram(value: Any, how: dict[str, Any]) -> Encoded:
    found, edges = numbers(value), how.get("edges")
    if edges is not None:
        bounds = list(numbers(edges))
        if len(bounds) != len(found) + 1 or len(found) > MOST_BINS or not found:
            raise Unusable(f"{len(found)} counts have {len(found) + 1} edges around them, got {len(bounds)}")
        return Encoded(b"", {"edges": bounds, "counts": list(found)})
    bins = how.get("bins")
    if not isinstance(bins, int) or not 1 <= bins <= MOST_BINS:
        raise Unusable(f"bins={bins!r:.40}; expected 1 to {MOST_BINS}")
    finite = found if all(map(math.isfinite, found)) else array.array("d", filter(math.isfinite, found))
    if not finite:
        raise Unusable(f"none of {len(found)} values is a finite number")
    remark = (
        ""
        if len(finite) == len(found)
        else f"{len(found) - len(finite)} values that are not finite were left out"
    )
    return Encoded(b"", counted(finite, bins), remark)


def counted(values: "array.array[float]", bins: int) -> dict[str, Any]:
    low, high = min(values), max(values)
    if not high - low > abs(low) * 1e-12:  # all the same: one bin around it
        half = abs(low) * 1e-6 or 0.5
        return {"edges": [low - half, low + half], "counts": [float(len(values))]}
    width = (high - low) / bins
    if not math.isfinite(width) or width == 0:
        raise Unusable(f"values from {low} to {high} are too far apart for bins")
    edges = [low + width * number for number in range(bins)] + [high]
    try:
        import numpy
    except ImportError:
        counts = [0] * bins
        for each in values:
            counts[min(int((each - low) / width), bins - 1)] += 1
        return {"edges": edges, "counts": [float(count) for count in counts]}
    found, _ = numpy.histogram(numpy.frombuffer(values), bins=bins, range=(low, high))
    return {"edges": edges, "counts": [float(count) for count in found]}
