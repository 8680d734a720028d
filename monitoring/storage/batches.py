"""How a batch's points lie in the database until they are compacted: packed arrays, one row a batch."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from scaleweb_sdk.protocol import Batch

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(list[tuple[str, bytes, bytes, bytes]]).decode


class Points(NamedTuple):
    """Points of one key in the order they came: steps int64, times and values float64, equal lengths."""

    steps: Ints
    times: Floats
    values: Floats

    @property
    def size(self) -> int:
        """The number of points; `len` counts the columns."""
        return len(self.steps)

    def between(self, first: int, last: int) -> "Points":
        """The points at places first..last - 1."""
        return Points(self.steps[first:last], self.times[first:last], self.values[first:last])

    def at(self, places: Any) -> "Points":
        """The points at these places, or where this mask is true."""
        return Points(self.steps[places], self.times[places], self.values[places])


EMPTY = Points(np.empty(0, np.int64), np.empty(0), np.empty(0))


def pack(batch: Batch) -> tuple[bytes, int]:
    """(body, number of points) of a batch's columns of both kinds."""
    columns = []
    count = 0
    for column in batch.columns:
        if column.steps:
            steps = np.array(column.steps, dtype="<i8").tobytes()
            times, values = np.array(column.times, dtype="<f8"), np.array(column.values, dtype="<f8")
            columns.append((column.key, steps, times.tobytes(), values.tobytes()))
            count += len(column.steps)
    for packed in batch.packed:
        if packed.steps:
            columns.append((packed.key, packed.steps, packed.times, packed.values))
            count += len(packed.steps) // 8
    return encode(columns), count


def unpack(body: bytes, keys: frozenset[str] | None = None) -> Iterator[tuple[str, Points]]:
    """(key, points) of each column, those of `keys` alone where given."""
    for key, steps, times, values in decode(body):
        if keys is None or key in keys:
            points = np.frombuffer(steps, "<i8"), np.frombuffer(times, "<f8"), np.frombuffer(values, "<f8")
            yield key, Points(*points)


def join(parts: Iterable[Points]) -> Points:
    """All points one after another."""
    found = list(parts)
    if len(found) == 1:
        return found[0]
    if not found:
        return EMPTY
    return Points(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
