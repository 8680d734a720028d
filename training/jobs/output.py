"""What a job prints: two files that are followed, and the one line of it that says why it failed."""

import re
import time
from collections import deque
from pathlib import Path

from scaleweb_sdk.protocol import LogLine

MAX_READ_BYTES = 2**20
MAX_LINE_CHARACTERS = 10_000
KEPT_LINES = 400
SPEAKS_OF_FAILURE = re.compile(r"error|exception|fatal|panic|abort|no such file|not found|killed", re.I)
EXCEPTION_LINE = re.compile(r"^([\w.]+(Error|Exception|Interrupt|Exit|Warning)\b|[\w.]+: )")


class Follower:
    """Reads lines as they are appended to a file. `offset`: bytes that were handed out as lines."""

    def __init__(self, path: Path, stream: str, offset: int = 0) -> None:
        self.path, self.stream, self.offset = path, stream, offset

    def read(self, *, to_the_end: bool = False) -> list[LogLine]:
        """Whole lines since the last call, at most about a MiB. to_the_end: an unfinished last line too.

        A carriage return rewrites its line, as a terminal shows it: of a progress bar the last state is kept.
        """
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                data = file.read(MAX_READ_BYTES)
        except OSError:
            return []
        end = data.rfind(b"\n") + 1
        if not end and (len(data) == MAX_READ_BYTES or to_the_end):
            end = len(data)  # one endless line is cut, not waited for
        elif to_the_end and len(data) < MAX_READ_BYTES:
            end = len(data)
        self.offset += end
        now = time.time()
        return [
            LogLine(now, self.stream, shown(line))
            for line in data[:end].decode(errors="replace").removesuffix("\n").split("\n")
        ] if end else []  # fmt: skip


def shown(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2].replace("\0", "\ufffd")[:MAX_LINE_CHARACTERS]


class LastLines:
    """The newest lines of stderr, to find in them why a process failed."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)

    def add(self, lines: list[LogLine]) -> None:
        self.lines.extend(line.text for line in lines if line.stream == "stderr")

    def first_error(self) -> str:
        """The exception's line of the last traceback, else the first line that speaks of an error, else the last."""
        lines = list(self.lines)
        for place in range(len(lines) - 1, -1, -1):
            if lines[place].startswith("Traceback (most recent call last)"):
                # The traceback's frames are indented; what follows them names the exception.
                for line in lines[place + 1 :]:
                    if line and not line[0].isspace() and EXCEPTION_LINE.match(line):
                        return line[:2000]
                break
        said = [line.strip() for line in lines if line.strip()]
        found = next((line for line in said if SPEAKS_OF_FAILURE.search(line)), said[-1] if said else "")
        return found[:2000]
