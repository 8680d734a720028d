"""Copies what a script prints to the run's log lines, and lets it through to where it went before."""

import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from .protocol import LogLine

LONGEST_LINE = 10_000


class Tee:
    """A text stream that also collects lines. A carriage return rewrites the line, as a terminal does."""

    def __init__(self, stream: TextIO, name: str, take: Callable[[LogLine], None]) -> None:
        self.stream = stream
        self.name = name
        self.take = take
        self._line = ""

    def write(self, text: str) -> int:
        written = self.stream.write(text)
        try:
            self._collect(text)
        except Exception:  # noqa: BLE001  a print must never fail because of us
            self._line = ""
        return written

    def _collect(self, text: str) -> None:
        *whole, self._line = (self._line + text).split("\n")
        for line in whole:
            # "50 %\r51 %\r\n": what stands last is what a person saw.
            shown = line.rstrip("\r").rpartition("\r")[2]
            self.take(LogLine(time.time(), self.name, shown[:LONGEST_LINE]))
        if len(self._line) > LONGEST_LINE:
            self._line = self._line.rpartition("\r")[2][-LONGEST_LINE:]

    def finish(self) -> None:
        if self._line:
            self._collect("\n")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Capture:
    """Both standard streams, from `start` to `stop`."""

    def __init__(self, take: Callable[[LogLine], None]) -> None:
        self.take = take
        self.tees: list[Tee] = []

    def start(self) -> None:
        sys.stdout = out = Tee(sys.stdout, "stdout", self.take)
        sys.stderr = err = Tee(sys.stderr, "stderr", self.take)
        self.tees = [out, err]

    def stop(self) -> None:
        for tee, name in zip(self.tees, ("stdout", "stderr"), strict=False):
            tee.finish()
            # Somebody may have wrapped ours in turn: then it stays, and only stops collecting.
            if getattr(sys, name) is tee:
                setattr(sys, name, tee.stream)
            tee.take = lambda _: None
        self.tees = []
