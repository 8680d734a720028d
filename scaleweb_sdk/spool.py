"""What a process has to say, kept until the server has it: on disk, within a limit.

A spool that is full thins: the least thinned of its older segments loses every second point (thinning.py), and so
on, so that what is left covers the whole time evenly and the newest is whole. No event is lost for it. While the
disk takes nothing, batches lie in memory, within a limit of its own and by the same rule.
"""

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from . import thinning
from .protocol import Batch, decode_up, encode
from .segments import HEADER, FileSegment, MemorySegment, Segment

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("scaleweb")
SEGMENT_BYTES = 4 * 2**20
TRY_DISK_EVERY_SECONDS = 1.0
SPENT = 1000  # level of a segment that cannot get smaller
WHOLE_SHARE = 4  # the newest quarter of the limit is thinned last


class SpoolInUse(Exception):
    """A living process writes to the spool."""


class Spool:
    """The batches of one session, in a folder of its own; one process at a time has it open.

    about: what `sync` needs to send them later (source, session, role, rank …), kept as about.json.
    limit_bytes: the most it may hold on disk, memory_limit_bytes: in memory while the disk takes nothing.
    thinned_points, thinned_lines: left out to stay within them. Raises SpoolInUse, OSError.
    """

    def __init__(
        self,
        folder: Path,
        about: dict[str, Any] | None = None,
        limit_bytes: int = 2**30,
        memory_limit_bytes: int = 2**26,
    ) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.memory_limit_bytes = memory_limit_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = taken(folder / "in-use")
        self.about: dict[str, Any] = read_about(folder)
        self.thinned_points = int(self.about.get("thinned_points", 0))
        self.thinned_lines = int(self.about.get("thinned_lines", 0))
        self.problem = ""  # why the disk takes nothing at present
        self._described = False
        self._try_disk_at = 0.0
        self._segments: list[FileSegment] = [FileSegment(path) for path in sorted(folder.glob("*.batches"))]
        self._held: list[MemorySegment] = []  # younger than what is on disk
        self.last_seq = max((segment.last for segment in self._segments), default=0)
        if about is not None:
            self.describe(**about)

    @property
    def size_bytes(self) -> int:
        """On disk."""
        return sum(segment.size for segment in self._segments)

    @property
    def held_bytes(self) -> int:
        """In memory, because the disk takes nothing."""
        return sum(segment.size for segment in self._held)

    # -- adding -------------------------------------------------------------------------------------

    def append(self, batch: Batch) -> bytes:
        """Add a batch, whose seq must be the next; as it is kept, encoded. A disk that is full is no error."""
        if not self._held or self._disk_is_back():
            try:
                return self._add(batch, self._segments, self.limit_bytes)
            except OSError as error:
                self._disk_failed(error)
        return self._add(batch, self._held, self.memory_limit_bytes)

    def _add(self, batch: Batch, segments: Any, limit: int) -> bytes:
        body = self._fit(batch, segments, limit)
        if not segments or segments[-1].size > min(SEGMENT_BYTES, limit // (2 * WHOLE_SHARE)):
            if segments:
                segments[-1].close()
            on_disk = segments is self._segments
            segments.append(
                FileSegment(self.folder / f"{batch.seq:012d}.batches") if on_disk else MemorySegment()
            )
        try:
            segments[-1].append(batch.seq, body)
        except OSError:
            if not segments[-1].size:
                segments.pop().remove()
            raise
        self.last_seq = max(self.last_seq, batch.seq)
        return body

    def _fit(self, batch: Batch, segments: Any, limit: int) -> bytes:
        """The batch, encoded, with room made for it: older ones are thinned, and it too if need be."""
        body = encode(batch)
        while sum(segment.size for segment in segments) + HEADER.size + len(body) > limit:
            if self._thin(segments, limit):
                continue
            smaller = self._count(batch, thinning.Thinner())
            if len(thinner := encode(smaller)) >= len(body):
                # One point a key is left of everything. Events stay, whatever the limit.
                self.thinned_points += thinning.count([smaller])
                self.thinned_lines += len(smaller.lines)
                return encode(Batch(batch.seq, batch.branch, [], [], [], batch.events))
            batch, body = smaller, thinner
        return body

    def _thin(self, segments: list[Segment], limit: int) -> bool:
        """Thin one segment, the least thinned and oldest of those that are not new. False if none gets smaller."""
        old, newer = [], 0
        for segment in reversed(segments):
            newer += segment.size
            if newer > limit // WHOLE_SHARE:
                old.append(segment)
        for segment in sorted(reversed(old), key=lambda segment: segment.level):
            if segment.level == SPENT:
                break
            thinner = thinning.Thinner()
            bodies = []
            for seq, body in segment.bodies():
                batch = decode_up(body)
                assert isinstance(batch, Batch)
                bodies.append((seq, encode(thinner.thin(batch))))
            before = segment.size
            if sum(HEADER.size + len(body) for _, body in bodies) >= before:
                segment.level = SPENT  # one point a key is left, and events
                continue
            segment.replace(bodies)
            segment.level += 1
            self._counted(thinner)
            return True
        return False

    def _count(self, batch: Batch, thinner: thinning.Thinner) -> Batch:
        thinned = thinner.thin(batch)
        self._counted(thinner)
        return thinned

    def _counted(self, thinner: thinning.Thinner) -> None:
        self.thinned_points += thinner.points
        self.thinned_lines += thinner.lines
        # Noted on disk too: whoever sends what a killed process left can say so.
        self.describe(thinned_points=self.thinned_points, thinned_lines=self.thinned_lines)

    # -- a disk that takes nothing ------------------------------------------------------------------

    def _disk_failed(self, error: OSError) -> None:
        self._try_disk_at = time.monotonic() + TRY_DISK_EVERY_SECONDS
        if not self.problem:
            logger.warning(
                "scaleweb: the spool %s cannot be written (%s); what is logged is kept in memory, at most %d MiB of it",
                self.folder, error, self.memory_limit_bytes // 2**20,
            )  # fmt: skip
        self.problem = str(error)

    def _disk_is_back(self) -> bool:
        """Whether everything that was held in memory is on disk now."""
        if time.monotonic() < self._try_disk_at:
            return False
        return self.settle()

    def settle(self) -> bool:
        """Move to disk what had to stay in memory; whether nothing is left there."""
        try:
            while self._held:
                segment, done = self._held[0], 0
                for seq, body in segment.bodies():
                    try:
                        batch = decode_up(body)
                        assert isinstance(batch, Batch)
                        self._add(batch, self._segments, self.limit_bytes)
                    except OSError:
                        segment.replace([pair for pair in segment.bodies() if pair[0] > done])
                        raise
                    done = seq
                self._held.pop(0)
        except OSError as error:
            self._disk_failed(error)
            return False
        if self.problem:
            logger.warning("scaleweb: the spool %s can be written again", self.folder)
            self.problem = ""
        if not self._described:
            self.describe()
        return True

    # -- reading ------------------------------------------------------------------------------------

    def after(self, seq: int) -> Iterator[Batch]:
        """All batches above `seq`, in order."""
        for _, body in self.bodies_after(seq):
            batch = decode_up(body)
            assert isinstance(batch, Batch)
            yield batch

    def bodies_after(self, seq: int) -> Iterator[tuple[int, bytes]]:
        """(seq, encoded batch) above `seq`, read from disk as they are asked for: an hour of them fits no memory."""
        segments: list[Segment] = [*self._segments, *self._held]
        for segment in segments:
            if segment.last > seq:
                for number, body in segment.bodies():
                    if number > seq:
                        yield number, body

    def acknowledge(self, seq: int) -> None:
        """Forget what the server has: whole segments up to `seq`."""
        while self._segments and self._segments[0].last <= seq:
            # The last one goes on being written until it is worth a new file.
            if len(self._segments) == 1 and not self._held and self._segments[0].size < SEGMENT_BYTES // 4:
                return
            self._segments.pop(0).remove()
        while self._held and self._held[0].last <= seq:
            self._held.pop(0)

    # -- ending -------------------------------------------------------------------------------------

    def close(self) -> None:
        if self._held and not self.settle():
            logger.warning(
                "scaleweb: %d bytes of what was logged are lost: the spool %s cannot be written (%s)",
                self.held_bytes, self.folder, self.problem,
            )  # fmt: skip
        self.abandon()

    def abandon(self) -> None:
        """Let go of files and lock, and write nothing: what a forked child does with its parent's spool."""
        for segment in self._segments:
            segment.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def remove(self) -> None:
        """Delete the spool: everything in it is with the server."""
        self._held = []
        self.abandon()
        for path in self.folder.iterdir():
            path.unlink(missing_ok=True)
        self.folder.rmdir()

    def describe(self, **changes: Any) -> None:
        """Note what `sync` has to know. On a disk that takes nothing it is noted later."""
        self.about |= changes
        path = self.folder / "about.json"
        # Of its own name: a thread that asks for a run describes, too.
        temporary = path.with_suffix(f".{time.monotonic_ns()}.tmp")
        try:
            temporary.write_text(json.dumps(self.about))
            os.replace(temporary, path)
            self._described = True
        except OSError as error:
            self._described = False
            logger.debug("%s cannot be written: %s", path, error)
            try:
                temporary.unlink(missing_ok=True)
            except OSError:
                logger.debug("nor can its beginning be deleted")


def read_about(folder: Path) -> dict[str, Any]:
    """What is noted beside the batches; {} where nothing legible is."""
    try:
        found = msgspec.json.decode((folder / "about.json").read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return found if isinstance(found, dict) else {}


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
