"""The chunk format: columns of one key, compressed with pcodec, guarded by a checksum. Pure.

    magic "SWC1" | CRC-32 of the rest | points | 3 lengths | steps | times | values

Compression: pcodec (https://github.com/pcodec/pcodec) finds that steps count up and times nearly do.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, standalone

MAGIC = b"SWC1"
HEAD = struct.Struct("<4sIIIII")
CONFIG = ChunkConfig(compression_level=6)

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
    parts = [
        bytes(standalone.simple_compress(np.ascontiguousarray(steps, dtype=np.int64), CONFIG)),
        bytes(standalone.simple_compress(np.ascontiguousarray(times, dtype=np.float64), CONFIG)),
        bytes(standalone.simple_compress(np.ascontiguousarray(values, dtype=np.float64), CONFIG)),
    ]
    body = b"".join(parts)
    lengths = [len(part) for part in parts]
    return HEAD.pack(MAGIC, checksum(body, len(steps), lengths), len(steps), *lengths) + body


def decode(blob: bytes) -> tuple[Ints, Floats, Floats]:
    """(steps, times, values) of a chunk. Raises TornChunk."""
    if len(blob) < HEAD.size:
        raise TornChunk(f"{len(blob)} bytes; a chunk has at least {HEAD.size}")
    magic, crc, points, *lengths = HEAD.unpack_from(blob)
    body = bytes(blob[HEAD.size :])
    if magic != MAGIC:
        raise TornChunk(f"it begins with {bytes(magic)!r}; expected {MAGIC!r}")
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


def expand(part: bytes) -> NDArray[np.generic]:
    found = standalone.simple_decompress(part)
    return np.empty(0) if found is None else np.asarray(found)
