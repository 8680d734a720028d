"""What a job prints: two files that are followed, and the one line of it that says why it failed."""

import ctypes
import os
import re
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from scaleweb_sdk.protocol import LogLine
from scaleweb_sdk.terminal import Terminal, shortened

from .processes import signal_name

MAX_READ_BYTES = 2**20
# A stream is kept whole as long as it prints no more than this at once, and no more than that a second after it.
KEPT_AT_ONCE_BYTES = 16 * 2**20
KEPT_BYTES_PER_SECOND = 16 * 2**10
LAST_WORDS_BYTES = 64 * 2**10
RELEASE_EVERY_BYTES = 4 * 2**20
FALLOC_KEEP_SIZE_PUNCH_HOLE = 0x01 | 0x02
MAX_LINE_CHARACTERS = 10_000
READ_AGAIN_BYTES = 64 * 2**10  # by a supervisor that comes after this one, of lines that are being written
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
        # A byte is a character to it: where a letter was cut in two, the two come together again.
        self._terminal = Terminal(offset)
        self._written_at = 0.0

    def read(self, *, to_the_end: bool = False) -> list[LogLine]:
        """Whole lines since the last call, of at most about a MiB. to_the_end: an unfinished last line too.

        They are what a terminal shows: of a progress bar, and of bars within it, the last state is kept.
        """
        found: list[str] = []
        try:
            with open(self.path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < self._terminal.position:  # it was emptied, by the script or by `release`
                    self.offset = self.released = 0
                    self._terminal.move(0)
                if self.must_wait(size) and not to_the_end:
                    return []
                file.seek(self._terminal.position)
                while not found:  # what is only rewritten is read through
                    data = file.read(MAX_READ_BYTES)
                    if data:
                        self._written_at = time.time()
                        found = self._terminal.write(self.clock(), data.decode("latin-1"))
                    elif not to_the_end:
                        found = self._terminal.settle(self.clock())
                    if len(data) < MAX_READ_BYTES:
                        found += self._terminal.finish() if to_the_end else []
                        break
        except OSError:
            return []
        self.offset = self._terminal.kept_from(READ_AGAIN_BYTES)
        self.allowed -= sum(len(text) + 1 for text in found)
        texts = [letters(text) for text in found]
        if self.left_out and texts:
            # The first one begins somewhere in a line.
            mebibytes = f"{self.left_out / 2**20:,.1f} MiB"
            texts[0] = f"[{mebibytes} were printed faster than they can be kept, and are left out here]"
            self.left_out = 0
        now = time.time()
        return [LogLine(now, self.stream, shown(text)) for text in texts]

    def open_lines(self) -> list[LogLine]:
        """The lines that had begun at the last `read` and had not ended, as they are shown now."""
        texts = self._terminal.open(self.clock())
        return [LogLine(self._written_at, self.stream, shown(shortened(letters(text)))) for text in texts]

    def must_wait(self, size: int) -> bool:
        """Whether more has come than may be kept now. Then all but the newest part of it is left out."""
        now = self.clock()
        self.allowed += (now - self.asked_at) * KEPT_BYTES_PER_SECOND
        self.allowed = min(self.allowed, KEPT_AT_ONCE_BYTES)
        self.asked_at = now
        behind = size - self._terminal.position
        if behind <= self.allowed:
            return False
        jump = max(0, behind - max(int(self.allowed), LAST_WORDS_BYTES))
        if jump:
            self.left_out += jump + self._terminal.position - self.offset
            self._terminal.position += jump
            self._terminal.clear(now)
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
            self._terminal.move(0)
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


def letters(text: str) -> str:
    """Of bytes that were taken for characters."""
    return text.encode("latin-1").decode(errors="replace")


def shown(line: str) -> str:
    return line.replace("\0", "\ufffd")[:MAX_LINE_CHARACTERS]


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
