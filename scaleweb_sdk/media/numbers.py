"""Arrays, tensors and nested lists as numbers in order with a shape; numpy does the work where it is there."""

import array
import math
from typing import Any

from .freeze import Unusable

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

MOST_PIXELS = 100_000_000


class Grid:
    """Numbers of any array with a shape: a numpy array inside, or a list where there is no numpy."""

    def __init__(self, flat: Any, shape: tuple[int, ...], whole: bool) -> None:
        self.flat, self.shape, self.whole = flat, shape, whole

    def reshaped(self, shape: tuple[int, ...]) -> "Grid":
        return Grid(self.flat, shape, self.whole)

    def channels_last(self) -> "Grid":
        channels, height, width = self.shape
        size = height * width
        if numpy is not None:
            moved = numpy.moveaxis(self.flat.reshape(self.shape), 0, 2).reshape(-1)
        else:
            moved = [self.flat[channel * size + at] for at in range(size) for channel in range(channels)]
        return Grid(moved, (height, width, channels), self.whole)

    def transposed(self) -> "Grid":
        rows, columns = self.shape
        if numpy is not None:
            moved = self.flat.reshape(self.shape).T.reshape(-1)
        else:
            moved = [self.flat[row * columns + column] for column in range(columns) for row in range(rows)]
        return Grid(moved, (columns, rows), self.whole)

    def as_bytes(self) -> "Grid":
        """0..255 each; floats are of 0..1, unless one is above. What is not finite is 0."""
        if numpy is not None:
            values = self.flat
            if not self.whole:
                values = numpy.nan_to_num(values.astype("float32"), nan=0.0, posinf=255.0, neginf=0.0)
                values = values * 255 if values.max() <= 1.0 else values
                values = values.round()
            elif values.dtype == bool:
                values = values.astype("uint8") * 255
            return Grid(values.clip(0, 255).astype("uint8").tobytes(), self.shape, True)
        values = [each if math.isfinite(each) else 0 for each in self.flat]
        scale = 255 if not self.whole and max(values) <= 1.0 else 1
        return Grid(bytes(min(255, max(0, round(each * scale))) for each in values), self.shape, True)

    def as_samples(self) -> bytes:
        """Little-endian int16; floats are of -1..1."""
        if numpy is not None:
            values = self.flat
            if not self.whole:
                values = numpy.nan_to_num(values.astype("float32"), nan=0.0).clip(-1, 1) * 32_767
            return bytes(values.clip(-32_768, 32_767).astype("<i2").tobytes())
        scale = 1 if self.whole else 32_767
        bounded = (each if math.isfinite(each) else 0 for each in self.flat)
        made = array.array("h", (min(32_767, max(-32_768, round(each * scale))) for each in bounded))
        return made.tobytes()


def grid(value: Any) -> Grid:
    """Raises Unusable for what is no array of numbers."""
    if numpy is not None:
        try:
            # A tensor gives its memory without a copy of each number.
            found = numpy.asarray(value.numpy() if hasattr(value, "detach") else value)
        except (ValueError, TypeError) as error:
            raise Unusable(f"not an array of numbers: {error}") from None
        if found.dtype.kind not in "biuf" or found.size > MOST_PIXELS:
            raise Unusable(
                f"expected numbers, at most {MOST_PIXELS} of them; got {found.size} of type {found.dtype}"
            )
        return Grid(found.reshape(-1), found.shape, found.dtype.kind in "biu")
    nested = value.tolist() if hasattr(value, "tolist") else value
    shape: list[int] = []
    level = nested
    while isinstance(level, list | tuple):
        shape.append(len(level))
        level = level[0] if level else None
    flat = list(flattened(nested, len(shape)))
    if math.prod(shape) != len(flat) or not all(isinstance(each, int | float) for each in flat):
        raise Unusable(f"not an array of numbers: {len(flat)} values in the shape {shape}")
    return Grid(flat, tuple(shape), all(isinstance(each, int) for each in flat))


def flattened(value: Any, depth: int) -> Any:
    if depth == 0:
        yield value
        return
    for each in value:
        yield from flattened(each, depth - 1)


def numbers(value: Any) -> "array.array[float]":
    """All of them, as float64."""
    found = grid(value)
    if numpy is not None:
        return array.array("d", found.flat.astype("<f8").tobytes())
    return array.array("d", found.flat)
