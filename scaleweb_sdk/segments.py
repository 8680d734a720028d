"""Where a spool's batches lie: in files of some megabytes, or in memory while the disk takes none.

A file holds framed batches: length (4 bytes), CRC-32 (4 bytes), MessagePack. A process that is killed in the
middle of a write leaves a torn tail, which is cut off when the file is opened again.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

import msgspec

HEADER = struct.Struct("<II")


class Numbered(msgspec.Struct, tag="batch"):
    """A batch as far as its number."""

    seq: int


number_of = msgspec.msgpack.Decoder(Numbered).decode


class Segment(Protocol):
    last: int  # the highest seq in it
    size: int  # bytes
    level: int  # how often it was thinned

    def append(self, seq: int, body: bytes) -> None:
        """Add an encoded batch. Raises OSError, having added nothing."""

    def bodies(self) -> Iterator[tuple[int, bytes]]:
        """(seq, encoded batch), in order."""

    def replace(self, bodies: list[tuple[int, bytes]]) -> None:
        """Hold these, of the same numbers and fewer bytes, in place of what it holds."""

    def close(self) -> None: ...

    def remove(self) -> None: ...


class FileSegment:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.level = 0
        self.last, self.size = self._mend() if path.exists() else (0, 0)
        self._file: IO[bytes] | None = None

    def append(self, seq: int, body: bytes) -> None:
        if self._file is None:
            # Unbuffered: a forked child would write a buffer's rest a second time.
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115  open until it is full
        frame = memoryview(HEADER.pack(len(body), zlib.crc32(body)) + body)
        try:
            # To the kernel, so that a killed process loses nothing; a power cut may take the last second.
            written = 0
            while written < len(frame):
                written += self._file.write(frame[written:])
        except OSError:
            # A full disk takes a part: nothing behind a torn frame would be read again.
            os.truncate(self.path, self.size)
            raise
        self.size += len(frame)
        self.last = seq

    def bodies(self) -> Iterator[tuple[int, bytes]]:
        for seq, body, _ in whole(self.path):
            yield seq, body

    def replace(self, bodies: list[tuple[int, bytes]]) -> None:
        self.close()
        content = b"".join(HEADER.pack(len(body), zlib.crc32(body)) + body for _, body in bodies)
        temporary = self.path.with_suffix(".thinner")
        try:
            temporary.write_bytes(content)
            os.replace(temporary, self.path)
        except OSError:
            # No room for a second copy: over the old one, whose blocks it has. A crash in here tears the file.
            temporary.unlink(missing_ok=True)
            with open(self.path, "r+b", buffering=0) as file:
                file.write(content)
                file.truncate(len(content))
        self.size = len(content)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)

    def _mend(self) -> tuple[int, int]:
        """Cut off a torn tail; (last seq, bytes)."""
        last, good = 0, 0
        for seq, _, end in whole(self.path):
            last, good = seq, end
        if self.path.stat().st_size > good:
            os.truncate(self.path, good)
        return last, good


class MemorySegment:
    def __init__(self) -> None:
        self.last = self.size = self.level = 0
        self._bodies: list[tuple[int, bytes]] = []

    def append(self, seq: int, body: bytes) -> None:
        self._bodies.append((seq, body))
        self.size += HEADER.size + len(body)
        self.last = seq

    def bodies(self) -> Iterator[tuple[int, bytes]]:
        return iter(list(self._bodies))

    def replace(self, bodies: list[tuple[int, bytes]]) -> None:
        self._bodies = bodies
        self.size = sum(HEADER.size + len(body) for _, body in bodies)

    def close(self) -> None:
        pass

    def remove(self) -> None:
        self._bodies = []


def whole(path: Path) -> Iterator[tuple[int, bytes, int]]:
    """(seq, body, offset of its end) for each whole batch of a file; stops at the first torn one."""
    offset = 0
    with open(path, "rb") as file:
        while len(header := file.read(HEADER.size)) == HEADER.size:
            length, crc = HEADER.unpack(header)
            body = file.read(length)
            if len(body) < length or zlib.crc32(body) != crc:
                return
            try:
                seq = number_of(body).seq
            except msgspec.DecodeError:
                return
            offset += HEADER.size + length
            yield seq, body, offset
