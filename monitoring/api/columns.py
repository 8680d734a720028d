"""Charts as one block of typed arrays, which a browser uses where they lie instead of parsing numbers.

    magic "SWC\\x01" | length of the head, uint32 | head | columns

The head is JSON in UTF-8, padded with spaces so that the columns begin at a multiple of eight bytes. A column is
float64; all is little-endian. docs/contracts.md section 4 has the head's fields. Every number of the store
fits: steps and counts stay below 2^53.
"""

import struct
from collections.abc import Sequence

import msgspec
import numpy as np

from monitoring.storage.buckets import Buckets

MEDIA_TYPE = "application/x-scaleweb-columns"
MAGIC = b"SWC\x01"
PREFIX = struct.Struct("<4sI")
encode_json = msgspec.json.Encoder().encode


def encode(found: Sequence[Buckets]) -> bytes:
    """The body of an answer. Columns that are one array (x and step, say) are written once."""
    series = []
    parts: list[bytes] = []
    offset = 0
    for buckets in found:
        known: dict[int, int] = {}
        offsets = {}
        for name, column in buckets.columns.items():
            if id(column) not in known:
                known[id(column)] = offset
                part = np.ascontiguousarray(column, dtype="<f8").tobytes()
                parts.append(part)
                offset += len(part)
            offsets[name] = known[id(column)]
        series.append({**buckets.head, "length": len(buckets.columns["step"]), "columns": offsets})
    head = encode_json({"series": series})
    head += b" " * (-(PREFIX.size + len(head)) % 8)
    return b"".join([PREFIX.pack(MAGIC, len(head)), head, *parts])
