"""Roll-ups as bytes: the levels of a chunk one after another, each readable without the others. Pure.

    first form    k | lengths of 2 parts | all integers | all floats
    second form   k + 128 | which counts of non-finite values follow | CRC-32 | rows | first bucket |
                  lengths of 4 parts | small integers | last times | low, high and last | totals

The second form keeps the integers as differences, which are nearly always the same number, and columns that differ in
kind apart, which pcodec squeezes better.
"""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, standalone

from .chunks import TornChunk
from .rollups import FLOATS, INTS, Rows

CONFIG = ChunkConfig(compression_level=6)
FIRST = struct.Struct("<BII")
SECOND = struct.Struct("<BBIIqIIII")
SECOND_FORM = 0x80
COUNTS = ("nan", "plus_inf", "minus_inf")


def encode(levels: list[Rows]) -> bytes:
    return b"".join(encode_level(rows) for rows in levels)


def encode_level(rows: Rows) -> bytes:
    present = [name for name in COUNTS if getattr(rows, name).any()]
    small = [
        np.diff(rows.bucket, prepend=rows.bucket[:1]),
        rows.count,
        rows.last_step - (rows.bucket << rows.k),
        *(getattr(rows, name) for name in present),
    ]
    parts = [
        compressed(np.concatenate(small).astype(np.int64)),
        compressed(rows.last_time),
        compressed(np.concatenate([rows.low, rows.high, rows.last])),
        compressed(rows.total),
    ]
    flags = sum(1 << at for at, name in enumerate(COUNTS) if name in present)
    lengths = [len(part) for part in parts]
    head = SECOND.pack(rows.k | SECOND_FORM, flags, 0, len(rows), int(rows.bucket[0]), *lengths)
    blob = head + b"".join(parts)
    return blob[:2] + struct.pack("<I", checksum(blob)) + blob[6:]


def checksum(level: bytes) -> int:
    """Of all but the checksum's own place."""
    return zlib.crc32(level[6:], zlib.crc32(level[:2]))


def widths(blob: bytes) -> list[tuple[int, int]]:
    """(k, offset) of each level, finest first. Raises TornChunk."""
    found, offset = [], 0
    while offset < len(blob):
        head = SECOND if blob[offset] & SECOND_FORM else FIRST
        if offset + head.size > len(blob):
            raise TornChunk("the roll-ups end in the middle of a level")
        fields = head.unpack_from(blob, offset)
        found.append((fields[0] & ~SECOND_FORM, offset))
        offset += head.size + sum(fields[5:] if head is SECOND else fields[1:])
    if offset != len(blob):
        raise TornChunk("the roll-ups end in the middle of a level")
    return found


def width_of(blob: bytes) -> int:
    """k of the finest level, from the first byte alone."""
    return blob[0] & ~SECOND_FORM


def decode(blob: bytes, offset: int) -> Rows:
    """The level at this offset. Raises TornChunk."""
    try:
        return second(blob, offset) if blob[offset] & SECOND_FORM else first(blob, offset)
    except (ValueError, RuntimeError, TypeError) as error:
        raise TornChunk(f"roll-ups of 2^{blob[offset] & ~SECOND_FORM} steps: {error}") from None


def second(blob: bytes, offset: int) -> Rows:
    k, flags, crc, rows, bucket, *lengths = SECOND.unpack_from(blob, offset)
    k &= ~SECOND_FORM
    if checksum(blob[offset : offset + SECOND.size + sum(lengths)]) != crc:
        raise ValueError("the checksum does not fit")
    start = offset + SECOND.size
    parts = []
    for length in lengths:
        parts.append(np.asarray(standalone.simple_decompress(blob[start : start + length])))
        start += length
    present = [name for at, name in enumerate(COUNTS) if flags >> at & 1]
    small = pieces(parts[0], 3 + len(present), rows)
    low, high, last = pieces(parts[2], 3, rows)
    if not len(parts[1]) == len(parts[3]) == rows:
        raise ValueError(f"{len(parts[1])} times and {len(parts[3])} totals of {rows} rows")
    buckets = bucket + np.cumsum(small[0])
    counts = dict.fromkeys(COUNTS, np.zeros(rows, np.int64)) | dict(zip(present, small[3:], strict=True))
    return Rows(
        k,
        bucket=buckets,
        count=small[1],
        last_step=(buckets << k) + small[2],
        low=low,
        high=high,
        total=parts[3],
        last=last,
        last_time=parts[1],
        **counts,
    )


def pieces(joined: NDArray[Any], count: int, length: int) -> list[NDArray[Any]]:
    if len(joined) != count * length:
        raise ValueError(f"{len(joined)} numbers; expected {count} columns of {length}")
    return [joined[at * length : (at + 1) * length] for at in range(count)]


def first(blob: bytes, offset: int) -> Rows:
    k, ints_length, floats_length = FIRST.unpack_from(blob, offset)
    start = offset + FIRST.size
    ints = np.asarray(standalone.simple_decompress(blob[start : start + ints_length]))
    start += ints_length
    floats = np.asarray(standalone.simple_decompress(blob[start : start + floats_length]))
    if (
        len(ints) % len(INTS)
        or len(floats) % len(FLOATS)
        or len(ints) * len(FLOATS) != len(floats) * len(INTS)
    ):
        raise ValueError("columns of unequal length")
    return Rows(k, *np.split(ints, len(INTS)), *np.split(floats, len(FLOATS)))


def best(blob: bytes, k: int) -> Rows | None:
    """The coarsest level that is no wider than 2^k, None when even the finest is. Raises TornChunk."""
    fitting = [offset for level, offset in widths(blob) if level <= k]
    return decode(blob, fitting[-1]) if fitting else None


def compressed(column: NDArray[np.generic]) -> bytes:
    return bytes(standalone.simple_compress(np.ascontiguousarray(column), CONFIG))
