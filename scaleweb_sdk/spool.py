"""What a process has to say, on disk until the server has it.

An append-only file of framed batches per segment: length (4 bytes), CRC-32 (4 bytes), MessagePack. A
process that is killed in the middle of a write leaves a torn tail, which is cut off when the spool is
opened again. Acknowledged segments are deleted.
"""

import json
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

from .protocol import Batch, decode_up, encode

HEADER = struct.Struct("<II")
SEGMENT_BYTES = 4 * 2**20


class SpoolFull(Exception):
    """The spool has reached its limit; the message says which limit and where the spool is."""


class SpoolInUse(Exception):
    """A living process writes to the spool."""


class Spool:
    """The batches of one session, in a folder of its own; one process at a time has it open.

    about: what `sync` needs to send them later (source, session, role, rank …), kept as about.json.
    limit_bytes: the most it may hold; `append` raises SpoolFull beyond it. Raises SpoolInUse.
    """

    def __init__(self, folder: Path, about: dict[str, Any] | None = None, limit_bytes: int = 2**30) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = taken(folder / "in-use")
        self.about = self._describe(about)
        self.last_seq = 0
        self.bytes = 0
        self._segments: dict[Path, int] = {}  # path -> last seq in it
        self._file: Any = None
        for path in sorted(folder.glob("*.batches")):
            last = self._mend(path)
            self._segments[path] = last
            self.last_seq = max(self.last_seq, last)
            self.bytes += path.stat().st_size

    def append(self, batch: Batch) -> None:
        """Add a batch; its seq must be the next. Raises SpoolFull, OSError."""
        body = encode(batch)
        if self.bytes + len(body) > self.limit_bytes:
            raise SpoolFull(
                f"the spool {self.folder} holds {self.bytes} bytes; its limit is {self.limit_bytes}"
            )
        if self._file is None or self._file.tell() > SEGMENT_BYTES:
            self._roll(batch.seq)
        self._file.write(HEADER.pack(len(body), zlib.crc32(body)) + body)
        # To the kernel, so that a killed process loses nothing; a power cut may take the last second.
        self._file.flush()
        self.bytes += HEADER.size + len(body)
        self.last_seq = batch.seq
        self._segments[Path(self._file.name)] = batch.seq

    def after(self, seq: int) -> Iterator[Batch]:
        """All batches above `seq`, in order, read from disk."""
        for path, last in sorted(self._segments.items()):
            if last > seq:
                for batch, _ in read_segment(path):
                    if batch.seq > seq:
                        yield batch

    def acknowledge(self, seq: int) -> None:
        """Forget what the server has: whole segments up to `seq`."""
        for path, last in list(self._segments.items()):
            if last > seq:
                continue
            if self._file is not None and Path(self._file.name) == path:
                if seq < self.last_seq or self._file.tell() < SEGMENT_BYTES // 4:
                    continue
                self._file.close()
                self._file = None
            self.bytes -= path.stat().st_size
            path.unlink(missing_ok=True)
            del self._segments[path]

    def close(self) -> None:
        self._close_segment()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _close_segment(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Delete the spool: everything in it is with the server."""
        self.close()
        for path in self.folder.iterdir():
            path.unlink(missing_ok=True)
        self.folder.rmdir()

    def describe(self, **changes: Any) -> None:
        self.about = self._describe(self.about | changes)

    def _describe(self, about: dict[str, Any] | None) -> dict[str, Any]:
        path = self.folder / "about.json"
        known = dict(json.loads(path.read_text())) if path.exists() else {}
        if about is None:
            return known
        about = known | about
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(about))
        os.replace(temporary, path)
        return about

    def _roll(self, seq: int) -> None:
        self._close_segment()
        self._file = open(self.folder / f"{seq:012d}.batches", "ab")  # noqa: SIM115  open until it is full

    def _mend(self, path: Path) -> int:
        """Cut off a torn tail; returns the last seq of the segment."""
        last, good = 0, 0
        for batch, end in read_segment(path):
            last, good = batch.seq, end
        if path.stat().st_size > good:
            os.truncate(path, good)
        return last


def taken(path: Path) -> IO[str] | None:
    """A lock on the spool that the kernel gives back when its process ends. Raises SpoolInUse."""
    file = open(path, "a")  # noqa: SIM115  open for as long as the lock is held
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise SpoolInUse(f"the spool {path.parent} is in use by a living process") from None
        except OSError:
            pass  # a network file system without locks: then there is no protection, but a spool
    return file


def read_segment(path: Path) -> Iterator[tuple[Batch, int]]:
    """(batch, offset of its end) for each whole batch; stops at the first torn one."""
    offset = 0
    with open(path, "rb") as file:
        while len(header := file.read(HEADER.size)) == HEADER.size:
            length, crc = HEADER.unpack(header)
            body = file.read(length)
            if len(body) < length or zlib.crc32(body) != crc:
                return
            batch = decode_up(body)
            if not isinstance(batch, Batch):
                return
            offset += HEADER.size + length
            yield batch, offset
