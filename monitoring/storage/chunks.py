"""The chunk formats: columns of one key, compressed with pcodec, guarded by a checksum. Pure.

    own columns      "SWC1" | CRC-32 of the rest | points | 3 lengths | steps | times | values
    shared axis      "SWC2" | CRC-32 of the rest | points | id of the axis | values
    the axis itself  "SWA1" | CRC-32 of the rest | points | length of the steps | steps | times

Keys that were logged in the same calls have the same steps and times: those are kept once, as an axis, and
their chunks hold values alone. Compression: pcodec (https://github.com/pcodec/pcodec) finds that steps count up
and times nearly do.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, standalone

OWN, SHARED, AXIS = b"SWC1", b"SWC2", b"SWA1"
OWN_HEAD = struct.Struct("<4sIIIII")
SHARED_HEAD = struct.Struct("<4sIIQ")
AXIS_HEAD = struct.Struct("<4sIII")
CONFIG = ChunkConfig(compression_level=6)
# The checksum of the two later formats covers all that follows it.
GUARDED = 8

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class TornChunk(Exception):
    """The bytes of a chunk are not what was written; the message says in which way."""


def encode(steps: Ints, times: Floats, values: Floats) -> bytes:
    """The chunk of these columns (equal lengths, NaN and infinities kept). Raises ValueError for unequal ones."""
    if not len(steps) == len(times) == len(values):
        raise ValueError(
            f"columns of {len(steps)}, {len(times)} and {len(values)} points; expected equal lengths"
        )
    parts = [compressed(steps, np.int64), compressed(times, np.float64), compressed(values, np.float64)]
    body = b"".join(parts)
    lengths = [len(part) for part in parts]
    return OWN_HEAD.pack(OWN, checksum(body, len(steps), lengths), len(steps), *lengths) + body


def encode_axis(steps: Ints, times: Floats) -> bytes:
    """Steps and times that several keys share. Raises ValueError for unequal lengths."""
    if len(steps) != len(times):
        raise ValueError(f"columns of {len(steps)} and {len(times)} points; expected equal lengths")
    first = compressed(steps, np.int64)
    return sealed(AXIS_HEAD.pack(AXIS, 0, len(steps), len(first)) + first + compressed(times, np.float64))


def encode_values(values: Floats, axis: int) -> bytes:
    """The chunk of a key whose steps and times are those of the axis with this id."""
    return sealed(SHARED_HEAD.pack(SHARED, 0, len(values), axis) + compressed(values, np.float64))


def on_axis(blob: bytes, axis: int) -> bytes:
    """A chunk of `encode_values` with another axis id: ids are known only once the axis is stored."""
    _, _, points, _ = SHARED_HEAD.unpack_from(blob)
    return sealed(SHARED_HEAD.pack(SHARED, 0, points, axis) + blob[SHARED_HEAD.size :])


def axis_of(blob: bytes) -> int | None:
    """The id of the axis that a chunk needs, None where it has steps and times of its own."""
    if len(blob) < SHARED_HEAD.size or bytes(blob[:4]) != SHARED:
        return None
    return int(SHARED_HEAD.unpack_from(blob)[3])


def decode(blob: bytes, axis: tuple[Ints, Floats] | None = None) -> tuple[Ints, Floats, Floats]:
    """(steps, times, values) of a chunk; axis: what `decode_axis` gave, where `axis_of` names one. Raises TornChunk."""
    if bytes(blob[:4]) != SHARED:
        return decode_own(blob)
    guard(blob, SHARED_HEAD)
    _, _, points, number = SHARED_HEAD.unpack_from(blob)
    if axis is None:
        raise TornChunk(f"its axis {number} is missing or torn")
    steps, times = axis
    values = expand(blob[SHARED_HEAD.size :]).astype(np.float64, copy=False)
    if not len(values) == len(steps) == points:
        raise TornChunk(
            f"{len(values)} values on an axis of {len(steps)} points; its head says {points} points"
        )
    return steps, times, values


def decode_axis(blob: bytes) -> tuple[Ints, Floats]:
    """(steps, times). Raises TornChunk."""
    if bytes(blob[:4]) != AXIS:
        raise TornChunk(f"it begins with {bytes(blob[:4])!r}; expected {AXIS!r}")
    guard(blob, AXIS_HEAD)
    _, _, points, length = AXIS_HEAD.unpack_from(blob)
    cut = AXIS_HEAD.size + length
    steps = expand(blob[AXIS_HEAD.size : cut]).astype(np.int64, copy=False)
    times = expand(blob[cut:]).astype(np.float64, copy=False)
    if not len(steps) == len(times) == points:
        raise TornChunk(f"columns of {len(steps)} and {len(times)} points; its head says {points}")
    return steps, times


def decode_own(blob: bytes) -> tuple[Ints, Floats, Floats]:
    if len(blob) < OWN_HEAD.size:
        raise TornChunk(f"{len(blob)} bytes; a chunk has at least {OWN_HEAD.size}")
    magic, crc, points, *lengths = OWN_HEAD.unpack_from(blob)
    body = bytes(blob[OWN_HEAD.size :])
    if magic != OWN:
        raise TornChunk(f"it begins with {bytes(magic)!r}; expected {OWN!r} or {SHARED!r}")
    if len(body) != sum(lengths):
        raise TornChunk(f"{len(body)} bytes of columns; its head says {sum(lengths)}")
    if checksum(body, points, lengths) != crc:
        raise TornChunk("the checksum does not fit")
    parts, start = [], 0
    for length in lengths:
        parts.append(body[start : start + length])
        start += length
    columns = (
        expand(parts[0]).astype(np.int64, copy=False),
        expand(parts[1]).astype(np.float64, copy=False),
        expand(parts[2]).astype(np.float64, copy=False),
    )
    if {len(column) for column in columns} != {points}:
        raise TornChunk(f"columns of {[len(column) for column in columns]} points; its head says {points}")
    return columns


def checksum(body: bytes, points: int, lengths: list[int]) -> int:
    return zlib.crc32(struct.pack("<4I", points, *lengths), zlib.crc32(body))


def sealed(blob: bytes) -> bytes:
    """The same with its checksum, at bytes 4 to 8, filled in."""
    return blob[:4] + struct.pack("<I", zlib.crc32(blob[GUARDED:])) + blob[GUARDED:]


def guard(blob: bytes, head: struct.Struct) -> None:
    if len(blob) < head.size:
        raise TornChunk(f"{len(blob)} bytes; expected at least {head.size}")
    if zlib.crc32(blob[GUARDED:]) != struct.unpack_from("<I", blob, 4)[0]:
        raise TornChunk("the checksum does not fit")


def compressed(column: NDArray[np.generic], kind: type[np.generic]) -> bytes:
    return bytes(standalone.simple_compress(np.ascontiguousarray(column, dtype=kind), CONFIG))


def expand(part: bytes) -> NDArray[np.generic]:
    found = standalone.simple_decompress(part)
    return np.empty(0) if found is None else np.asarray(found)
