"""Copies what a script prints to the run's log lines, and lets it through to where it went before.

The printing thread only appends; lines are made of it in the link's thread.
"""

import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, TextIO

from .open_line import OpenLine, last_shown
from .plain import text as legible
from .protocol import LogLine

LONGEST_LINE = 10_000
LONGEST_WRITE = 1_000_000
MOST_WRITES = 50_000

Writes = deque[tuple[float, str, str]]  # time, name of the stream, text


class Tee:
    """A text stream whose text is also kept, as (time, name, text). Otherwise it is the stream itself."""

    def __init__(self, stream: TextIO, name: str, writes: Writes) -> None:
        self._stream = stream
        self._name = name
        self._writes: Writes | None = writes

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        if self._writes is not None and isinstance(text, str):
            self._writes.append(
                (time.time(), self._name, text if len(text) < LONGEST_WRITE else shortened(text))
            )
        return written

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> Any:
        return ByteTee(self._stream.buffer, self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> "Tee":
        return self

    def __exit__(self, *_: Any) -> None:
        self._stream.close()

    def __iter__(self) -> Any:
        return iter(self._stream)


class ByteTee:
    """The bytes below a Tee: `sys.stdout.buffer.write(b"…")`."""

    def __init__(self, stream: Any, tee: Tee) -> None:
        self._stream = stream
        self._tee = tee

    def write(self, data: Any) -> int:
        written: int = self._stream.write(data)
        writes = self._tee._writes
        if writes is not None:
            writes.append((time.time(), self._tee._name, shortened(bytes(data).decode("utf-8", "replace"))))
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def shortened(text: str) -> str:
    if len(text) < LONGEST_WRITE:
        return text
    half = LONGEST_WRITE // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


class Lines:
    """Makes lines of what one stream was given. A carriage return rewrites the line, as a terminal does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._begun = ""
        self._open = OpenLine(name)
        self._written_at = 0.0

    def add(self, at: float, text: str) -> list[LogLine]:
        *whole, self._begun = (self._begun + text).split("\n")
        if len(self._begun) > 2 * LONGEST_LINE:
            # A progress bar that never ends its line, or a very long one: what can still be shown of it.
            self._begun = last_shown(self._begun)[: LONGEST_LINE + 1]
        self._open.stands(at, self._begun, bool(whole))
        self._written_at = at
        return [LogLine(at, self.name, cut(last_shown(line))) for line in whole]

    def finish(self) -> list[LogLine]:
        return self.add(time.time(), "\n") if self._begun else []

    def open(self, now: float) -> LogLine | None:
        return self._open.line(now, self._written_at)


def cut(line: str) -> str:
    return legible(line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…")


class Capture:
    """Both standard streams, from `start` to `stop`. `take` and `open` are for the link's thread alone."""

    def __init__(self) -> None:
        self.writes: Writes = deque(maxlen=MOST_WRITES)  # a thread that cannot keep up leaves out the oldest
        self._lines = {name: Lines(name) for name in ("stdout", "stderr")}
        self._tees: dict[str, Tee] = {}
        self._over = False

    def start(self) -> None:
        for name in self._lines:
            stream = getattr(sys, name)
            if stream is not None:  # as in a process without a terminal: print() says nothing then
                self._tees[name] = tee = Tee(stream, name, self.writes)
                setattr(sys, name, tee)

    def stop(self) -> None:
        """Keep no more. What was begun without an end of line is the last line."""
        for name, tee in self._tees.items():
            tee._writes = None
            # Somebody may have wrapped ours in turn: then it stays, and only lets through.
            if getattr(sys, name) is tee:
                setattr(sys, name, tee._stream)
        self._tees = {}
        self._over = True

    def take(self) -> list[LogLine]:
        """The lines since the last call."""
        found: list[LogLine] = []
        over = self._over
        for _ in range(len(self.writes)):
            at, name, text = self.writes.popleft()
            found += self._lines[name].add(at, text)
        if over:
            for lines in self._lines.values():
                found += lines.finish()
        return found

    def open(self) -> list[LogLine]:
        """The lines that had begun at the last `take` and had not ended, as they are shown now."""
        now = time.time()
        return [line for lines in self._lines.values() if (line := lines.open(now)) is not None]
