"""What a terminal shows of a stream: the rows that its cursor can still come back to, and those that it has left.

A carriage return rewrites its row; nested bars go up to the row of the outer one (tqdm, rich) and down again. Columns
are not followed: what is written after a return stands in the place of the whole row.
"""

import re

# print() writes the text and its end one after the other, and a buffer is written out in the middle of a row: what was
# not rewritten is told only once it has stood for so long.
STANDS_SECONDS = 0.5
# Where nobody went up for so long, what stands above the cursor is over: rich redraws ten times a second.
QUIET_SECONDS = 5.0
MOST_ROWS = 16  # that a cursor goes up
MOST_SHOWN = 8
LONGEST_SHOWN = 1_000
LONGEST_ROW = 10_000
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
MOVES = re.compile(
    r"\n|\r|\x1b\[(\d{0,4})([ABEFJK])"
)  # up, down, down and up to the left end, wipe below, wipe the row
CUT_SHORT = re.compile(r"\x1b(\[[0-?]{0,16})?\Z")


class Row:
    """start: where in the stream its text begins. rewritten: its text stands in the place of what was there before."""

    __slots__ = ("begun_at", "rewritten", "start", "text")

    def __init__(self, at: float, start: int, rewritten: bool = False) -> None:
        self.text, self.begun_at, self.start, self.rewritten = "", at, start, rewritten

    @property
    def blank(self) -> bool:
        return not self.text or not ESCAPES.sub("", self.text).strip()


class Terminal:
    """Of one stream. Times are the caller's, of one clock; `position` counts the characters that were written."""

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.clear(0.0)

    def clear(self, at: float) -> None:
        """Forget what stands there."""
        self._rows = [Row(at, self.position)]
        self._cursor = 0
        self._returned = False  # to the left end of a row: what comes now stands in the place of its text
        self._reach = 0  # how far above the lowest row the cursor goes: the height of a block of bars
        self._reached_at = at
        self._tail = ""  # of a code that was cut in two

    def write(self, at: float, text: str) -> list[str]:
        """The rows that are left for good, in their order."""
        text = self._tail + text
        start = self.position - len(self._tail)
        self._tail = ""
        if "\r" not in text and "\x1b" not in text and self._plain:
            return self._write_plain(at, text, start)
        done: list[str] = []
        if text and text[-1] != "\n" and (cut := CUT_SHORT.search(text, max(0, len(text) - 18))) is not None:
            self._tail = cut[0]
        place, end = 0, len(text) - len(self._tail)
        for found in MOVES.finditer(text, 0, end):
            if found.start() > place:
                self._put(at, text[place : found.start()], start + place)
            place = found.end()
            if found[0] == "\n":
                self._down(at, start + place)
                if len(self._rows) > 2 * MOST_ROWS:
                    done += self._leave(len(self._rows) - MOST_ROWS - 1)
            elif found[0] == "\r":
                self._returned = True
            else:
                self._move(at, found[2], found[1], start + place)
        if place < end:
            self._put(at, text[place:end], start + place)
        self.position = start + len(text)
        # A row that was rewritten and ended may be the outer one of a block whose inner one only begins: it is known at
        # the next write, and `settle` ends the waiting where none comes.
        rows, below = self._rows, self._rows[-1]
        lowest = len(rows) - 1
        undecided = 0 < self._cursor == lowest and rows[-2].rewritten and (below.rewritten or below.blank)
        return done + self._leave(min(self._cursor, lowest - self._reach - undecided))

    @property
    def _plain(self) -> bool:
        return len(self._rows) == 1 and not (self._reach or self._returned or self._rows[0].rewritten)

    def _write_plain(self, at: float, text: str, start: int) -> list[str]:
        """The same without codes, as most is written; in a third less time."""
        self.position = start + len(text)
        *done, rest = text.split("\n")
        if done:
            done[0] = self._rows[0].text + done[0]
            self._rows = [Row(at, self.position - len(rest))]
        if rest:
            self._put(at, rest, self.position - len(rest))
        return done

    def settle(self, now: float) -> list[str]:
        """The rows above one that is being written, where nothing more is to come to them."""
        rows, row = self._rows, self._rows[self._cursor]
        if any(not below.blank for below in rows[self._cursor + 1 :]):
            return []  # bars that move: the cursor rests at the outer one
        if self._reach and not row.blank and now - self._reached_at < QUIET_SECONDS:
            return []
        del rows[self._cursor + 1 :]
        self._reach = 0
        if row.blank and self._cursor:  # as the end of a line leaves it, whatever had stood there
            rows[-1], self._returned = Row(now, self.position), False
        return self._leave(self._cursor)

    def finish(self) -> list[str]:
        """All that still stands there: the stream is over."""
        if self._tail:
            self._put(0.0, self._tail, self.position)
        while len(self._rows) > 1 and self._rows[-1].blank:
            self._rows.pop()
        found = [] if self._rows[-1].blank else self._leave(len(self._rows))
        self.clear(0.0)
        return found

    def open(self, now: float) -> list[str]:
        """The rows as they are shown now that are not left yet; without those that have not stood for long enough."""
        lowest = len(self._rows) - 1
        return [
            row.text
            for place, row in enumerate(self._rows)
            if not row.blank
            and (
                place < lowest
                or self._reach
                or row.rewritten
                or self._returned
                or now - row.begun_at >= STANDS_SECONDS
            )
        ][-MOST_SHOWN:]

    def kept_from(self, most: int) -> int:
        """Where to read again to have what stands there, within the last `most` characters of the stream."""
        starts = [row.start for row in self._rows if not row.blank] + [self.position - len(self._tail)]
        return min((start for start in starts if start >= self.position - most), default=self.position)

    def move(self, position: int) -> None:
        """Count on from another place, with what stands there."""
        self.position = position
        for row in self._rows:
            row.start = position

    def _put(self, at: float, text: str, start: int) -> None:
        row = self._rows[self._cursor]
        if self._returned:
            row.text, row.start, row.rewritten, self._returned = text, start, True, False
        else:
            if not row.text:
                row.begun_at, row.start = at, start
            row.text += text
        if len(row.text) > 2 * LONGEST_ROW:
            row.text = row.text[: LONGEST_ROW + 1]

    def _down(self, at: float, start: int) -> None:
        self._cursor += 1
        self._returned = self._cursor < len(self._rows)
        if not self._returned:
            self._rows.append(Row(at, start))

    def _move(self, at: float, way: str, number: str, start: int) -> None:
        row = self._rows[self._cursor]
        if way == "K":
            if self._returned or number in ("1", "2"):
                row.text, row.rewritten = "", True
        elif way == "J":
            if number in ("", "0"):
                del self._rows[self._cursor + 1 :]
                if self._returned:
                    row.text, row.rewritten = "", True
        elif way in "BE":
            for _ in range(min(int(number or 1) or 1, len(self._rows) - 1 - self._cursor)):
                self._down(at, start)
        else:
            below = len(self._rows) - 1 - self._cursor
            self._cursor -= min(int(number or 1) or 1, MOST_ROWS - below)
            # What stood there is left already: it is told anew once it is rewritten.
            self._rows[:0] = [Row(at, start, True) for _ in range(-self._cursor)]
            self._cursor = max(0, self._cursor)
            self._reach = max(self._reach, len(self._rows) - 1 - self._cursor)
            self._reached_at = at
        if way in "EF":
            self._returned = True

    def _leave(self, count: int) -> list[str]:
        if count <= 0:
            return []
        left, self._rows = self._rows[:count], self._rows[count:]
        self._cursor -= count
        return [row.text for row in left if not (row.rewritten and row.blank)]


def shortened(text: str) -> str:
    """What is told of an open row: of dots that go on and on the newest are what is waited for."""
    return text if len(text) <= LONGEST_SHOWN else "…" + text[1 - LONGEST_SHOWN :]
