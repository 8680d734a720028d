"""The lines that one sender is writing, shown to who looks on: a progress bar that moves. None of it is stored."""

import asyncio
import math
import time
from typing import TYPE_CHECKING

from monitoring.live import frames as live_frames
from monitoring.live.channels import LIVE_CHANNEL, OPEN_LINES_KEY
from scaleweb_sdk.protocol import MOST_OPEN_LINES, Hello, OpenLines

from .frames import bad, check_lines

if TYPE_CHECKING:
    from .connection import Connection

LONGEST_TEXT = 2_000
LONGEST_NAME = 100
EVERY_SECONDS = 0.1  # a sender that tells of them more often has its newest shown
REPEAT_SECONDS = 10.0  # before viewers and the broker let go of what they do not hear of


class OpenLinesShown:
    """Those of one connection, from its event loop alone."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.lines: list[tuple[float, str, str]] = []
        self.shown = False  # whether there are any on somebody's screen
        self.shown_at = -math.inf
        self.after: int | None = None  # the batch that is to be seen before what came last; None: it is shown
        self.timer: asyncio.TimerHandle | None = None

    def take(self, frame: OpenLines) -> None:
        """What is written now. Raises Refused: bad_frame."""
        self.lines = checked(frame)
        self.after = self.connection.last_taken
        self.look()

    def look(self) -> None:
        """Show what is new once the lines before it are: a bar that has ended gives way to its line, not to nothing."""
        if self.after is None or self.timer is not None or self.connection.last_acked < self.after:
            return
        wait = self.shown_at + EVERY_SECONDS - time.monotonic()
        if wait > 0:
            self.timer = asyncio.get_running_loop().call_later(wait, self.due)
        else:
            self.show()

    def due(self) -> None:
        self.timer = None
        self.look()

    def repeat(self) -> None:
        if self.shown and time.monotonic() - self.shown_at > REPEAT_SECONDS:
            self.show()

    def end(self) -> None:
        """The sender is gone: what it was writing is written no more."""
        if self.timer is not None:
            self.timer.cancel()
        self.lines = []
        if self.shown:
            self.show()

    def show(self) -> None:
        self.after, self.shown, self.shown_at = None, bool(self.lines), time.monotonic()
        source, hub = self.connection.source, self.connection.hub
        sender = self.connection.hello.session
        frame = live_frames.open_lines(sender, whose(self.connection.hello), time.time(), self.lines)
        if self.lines:
            hub.outbox.keep(OPEN_LINES_KEY + source, sender, frame, live_frames.OPEN_LINES_SECONDS)
        else:
            hub.outbox.forget(OPEN_LINES_KEY + source, sender)
        if source in hub.watched:
            hub.outbox.put(LIVE_CHANNEL + source, frame)


def whose(hello: Hello) -> str:
    """Who writes, in a run of several: its rank, or of a job's part, which has all that its ranks print, its node."""
    if hello.role == "process":
        return f"rank {hello.rank}" if hello.world_size > 1 else ""
    node, nodes = hello.process.get("node"), hello.process.get("nodes")
    return node[:LONGEST_NAME] if isinstance(node, str) and isinstance(nodes, int) and nodes > 1 else ""


def checked(frame: OpenLines) -> list[tuple[float, str, str]]:
    if len(frame.lines) > MOST_OPEN_LINES:
        raise bad(f"there are {len(frame.lines)} open lines; expected at most {MOST_OPEN_LINES}")
    check_lines(frame.lines)
    return [(line.time, line.stream, line.text[:LONGEST_TEXT]) for line in frame.lines]
