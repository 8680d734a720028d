"""What a job prints: two files that are followed, and the one line of it that says why it failed."""

import ctypes
import os
import re
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from scaleweb_sdk.open_line import OpenLine, last_shown
from scaleweb_sdk.protocol import LogLine

from .processes import signal_name

MAX_READ_BYTES = 2**20
# A stream is kept whole as long as it prints no more than this at once, and no more than that a second after it.
KEPT_AT_ONCE_BYTES = 16 * 2**20
KEPT_BYTES_PER_SECOND = 16 * 2**10
LAST_WORDS_BYTES = 64 * 2**10
RELEASE_EVERY_BYTES = 4 * 2**20
FALLOC_KEEP_SIZE_PUNCH_HOLE = 0x01 | 0x02
MAX_LINE_CHARACTERS = 10_000
OPEN_LINE_BYTES = 64 * 2**10  # of a line that was rewritten so long, what nobody sees any more is passed over
KEPT_LINES = 400
SPEAKS_OF_FAILURE = re.compile(r"error|exception|fatal|panic|abort|no such file|not found|killed", re.I)
TORCHRUN_SAYS = "torch.distributed.elastic."
RANK_FAILED = re.compile(r"failed \(exitcode: (-?\d+)\) local_rank: (\d+)")
TRACEBACK = "Traceback (most recent call last)"
# What an attempt's folder holds for the server, and the file that says that the server will never take it.
REFUSED = {"spool": "refused.json", "lines": "lines_refused.json"}
EXCEPTION_LINE = re.compile(r"^([\w.]+(Error|Exception|Interrupt|Exit|Warning)\b|[\w.]+: )")


class Follower:
    """Reads lines as they are appended to a file. `offset`: bytes that were handed out as lines, or are seen no more.

    A flood is thinned: of what comes faster than it can be kept the newest lines are handed out, and a line
    in place of the others says how much was left out.
    """

    def __init__(
        self, path: Path, stream: str, offset: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.path, self.stream, self.offset, self.clock = path, stream, offset, clock
        self.allowed = float(KEPT_AT_ONCE_BYTES)
        self.asked_at = clock()
        self.released = 0
        self.left_out = 0
        self._open = OpenLine(stream)
        self._written_at, self._size = 0.0, 0

    def read(self, *, to_the_end: bool = False) -> list[LogLine]:
        """Whole lines since the last call, at most about a MiB. to_the_end: an unfinished last line too.

        A carriage return rewrites its line, as a terminal shows it: of a progress bar the last state is kept.
        """
        try:
            with open(self.path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < self.offset:
                    self.offset = self.released = 0  # it was emptied, by the script or by `release`
                if self.must_wait(size) and not to_the_end:
                    self.note_open(size, b"", anew=True)
                    return []
                file.seek(self.offset)
                data = file.read(MAX_READ_BYTES)
        except OSError:
            return []
        whole = len(data) < MAX_READ_BYTES
        end = data.rfind(b"\n") + 1
        if not end and len(data) > OPEN_LINE_BYTES and (rewritten := data.rstrip(b"\r").rfind(b"\r")) > 0:
            self.offset += rewritten
            return self.read(to_the_end=to_the_end)
        if not end and (not whole or to_the_end):
            end = len(data)  # one endless line is cut, not waited for
        elif to_the_end and whole:
            end = len(data)
        self.note_open(size, data[end:] if whole else b"", anew=end > 0)
        if not end:
            return []
        self.offset += end
        self.allowed -= end
        texts = data[:end].decode(errors="replace").removesuffix("\n").split("\n")
        if self.left_out:
            # The first one begins somewhere in a line.
            mebibytes = f"{self.left_out / 2**20:,.1f} MiB"
            texts[0] = f"[{mebibytes} were printed faster than they can be kept, and are left out here]"
            self.left_out = 0
        now = time.time()
        return [LogLine(now, self.stream, shown(line)) for line in texts]

    def open_line(self) -> LogLine | None:
        """The line that had begun at the last `read` and had not ended, as it is shown now."""
        return self._open.line(self.clock(), self._written_at)

    def note_open(self, size: int, rest: bytes, *, anew: bool) -> None:
        if size != self._size:
            self._size, self._written_at = size, time.time()
        self._open.stands(self.clock(), rest[-OPEN_LINE_BYTES:].decode(errors="replace"), anew)

    def must_wait(self, size: int) -> bool:
        """Whether more has come than may be kept now. Then all but the newest part of it is left out."""
        now = self.clock()
        self.allowed += (now - self.asked_at) * KEPT_BYTES_PER_SECOND
        self.allowed = min(self.allowed, KEPT_AT_ONCE_BYTES)
        self.asked_at = now
        behind = size - self.offset
        if behind <= self.allowed:
            return False
        jump = max(0, behind - max(int(self.allowed), LAST_WORDS_BYTES))
        self.offset += jump
        self.left_out += jump
        return self.allowed < LAST_WORDS_BYTES

    def release(self) -> None:
        """Give the disk back what was handed out; the file keeps its length, and its writer its place."""
        if self.offset - self.released < RELEASE_EVERY_BYTES:
            return
        end = self.offset - self.offset % 4096
        try:
            punch_hole(self.path, self.released, end - self.released)
        except OSError:
            # A file system that cannot give back a part: the file is emptied once all of it was read.
            if self.path.stat().st_size > self.offset:
                return
            os.truncate(self.path, 0)
            self.offset = end = 0
        self.released = end


def punch_hole(path: Path, start: int, length: int) -> None:
    """Free the blocks of a part of a file. Raises OSError where this cannot be done."""
    if not sys.platform.startswith("linux"):
        raise OSError(f"not on {sys.platform}")
    library = ctypes.CDLL(None, use_errno=True)
    with open(path, "r+b") as file:
        offset, size = ctypes.c_int64(start), ctypes.c_int64(length)
        if library.fallocate(file.fileno(), FALLOC_KEEP_SIZE_PUNCH_HOLE, offset, size) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def shown(line: str) -> str:
    return last_shown(line).replace("\0", "\ufffd")[:MAX_LINE_CHARACTERS]


def unsent(folder: Path) -> list[Path]:
    """The spools below a folder that hold what the server has not acknowledged."""
    return sorted({path.parent for path in folder.glob("*/*.batches") if path.stat().st_size})


class LastLines:
    """The newest lines of both streams, to find in them why a process failed."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)  # of stderr
        self.said: deque[str] = deque(maxlen=KEPT_LINES)  # of stdout

    def add(self, lines: list[LogLine]) -> None:
        for line in lines:
            (self.lines if line.stream == "stderr" else self.said).append(line.text)

    @property
    def traceback(self) -> bool:
        return any(line.startswith(TRACEBACK) for line in self.lines)

    def first_error(self) -> str:
        """The exception's line of the last traceback, else the first line that speaks of an error, else the last.

        A program that has nothing on stderr is taken at its word on stdout, if that speaks of an error.
        """
        lines = list(self.lines)
        torchrun = any(TORCHRUN_SAYS in line for line in lines)
        places = [place for place, line in enumerate(lines) if line.startswith(TRACEBACK)]
        # Of a gang the rank that failed first says why; the others fail because of it, and torchrun because of them.
        for place in places if torchrun else places[::-1]:
            # The traceback's frames are indented; what follows them names the exception.
            after = [line for line in lines[place + 1 :] if line and not line[0].isspace()]
            named = next(filter(EXCEPTION_LINE.match, after), after[0] if after else "")
            if named and TORCHRUN_SAYS not in named:
                return named[:2000]
            if not torchrun:
                break
        if torchrun and (rank := next(filter(None, map(RANK_FAILED.search, lines)), None)) is not None:
            code = int(rank[1])
            how = f"was killed by {signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
            return f"the process of local rank {rank[2]} {how}"
        said = [line.strip() for line in lines if line.strip()]
        found = next(filter(SPEAKS_OF_FAILURE.search, said), said[-1] if said else "")
        return (found or next(filter(SPEAKS_OF_FAILURE.search, self.said), "")).strip()[:2000]
