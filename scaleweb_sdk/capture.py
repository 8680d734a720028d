"""Copies what a script prints to the run's log lines, and lets it through to where it went before.

The printing thread only appends; lines are made of it in the link's thread.
"""

import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, TextIO

from .plain import text as legible
from .protocol import LogLine
from .terminal import Terminal
from .terminal import shortened as short

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
    """Makes lines of what one stream was given, as a terminal shows it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._terminal = Terminal()
        self._written_at = 0.0

    def add(self, at: float, text: str) -> list[LogLine]:
        self._written_at = at
        return self._lines(at, self._terminal.write(at, text))

    def settle(self, now: float) -> list[LogLine]:
        return self._lines(now, self._terminal.settle(now))

    def finish(self) -> list[LogLine]:
        return self._lines(time.time(), self._terminal.finish())

    def open(self, now: float) -> list[LogLine]:
        return [
            LogLine(self._written_at, self.name, legible(short(text))) for text in self._terminal.open(now)
        ]

    def _lines(self, at: float, texts: list[str]) -> list[LogLine]:
        return [LogLine(at, self.name, cut(text)) for text in texts]


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
        written, last = set[str](), ""
        for _ in range(len(self.writes)):
            at, name, text = self.writes.popleft()
            if name != last:  # what another stream has ended stands above this
                found += [
                    line for other in self._lines if other != name for line in self._lines[other].settle(at)
                ]
            written.add(name)
            last = name
            found += self._lines[name].add(at, text)
        for name, lines in self._lines.items():
            if over:
                found += lines.finish()
            elif name not in written:
                found += lines.settle(time.time())
        return found

    def open(self) -> list[LogLine]:
        """The lines that had begun at the last `take` and had not ended, as they are shown now."""
        now = time.time()
        return [line for lines in self._lines.values() for line in lines.open(now)]
