"""The line that a stream is writing now: what a terminal shows of it before its end has come."""

import re

from .plain import text as legible
from .protocol import LogLine

# print() writes the text and its end one after the other, and a buffer is written out in the middle of a line: what was
# not rewritten is told only once it has stood for so long.
STANDS_SECONDS = 0.5
LONGEST_SHOWN = 1_000
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class OpenLine:
    """Of one stream. Times are the caller's, of one clock for `stands` and `line`."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self._text = ""
        self._begun_at = 0.0

    def stands(self, at: float, text: str, anew: bool) -> None:
        """All that was written of it up to now; anew: a line before it has ended since the last call."""
        if anew or not self._text:
            self._begun_at = at
        self._text = text

    def line(self, now: float, written_at: float) -> LogLine | None:
        """As it is shown now, "50 %" of "49 %\\r50 %"; None where there is nothing to see, or not for long enough."""
        rewritten = "\r" in self._text
        if not rewritten and now - self._begun_at < STANDS_SECONDS:
            return None
        shown = last_shown(self._text)
        if not ESCAPES.sub("", shown).strip():
            return None
        # Of dots that go on and on the newest are what is waited for.
        short = shown if len(shown) <= LONGEST_SHOWN else "…" + shown[1 - LONGEST_SHOWN :]
        return LogLine(written_at, self.stream, legible(short))


def last_shown(line: str) -> str:
    """ "50 %\\r51 %\\r": what stands last is what a person saw."""
    return line.rstrip("\r").rpartition("\r")[2]
