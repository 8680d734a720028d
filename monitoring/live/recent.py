"""What was published a moment ago, for who has just begun to listen.

A page asks for what it shows and to be told of changes at the same moment. A change that falls between the two answers
would be in neither: so it says how long ago it began to read, and gets first what was published since.
"""

import math
from collections import deque
from collections.abc import Callable

SECONDS = 20.0
BYTES = 2 * 2**20
CHANGED = b'{"type":"changed"'  # points and lines have a store of their own, and are many


class Recent:
    """Changes of the last seconds, of all topics. `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float], seconds: float = SECONDS, most_bytes: int = BYTES) -> None:
        self.clock = clock
        self.seconds = seconds
        self.most_bytes = most_bytes
        self.kept: deque[tuple[float, str, bytes]] = deque()
        self.bytes = 0
        self.whole_since: float | None = None  # since when nothing was missed; None: nothing is heard

    def restart(self) -> None:
        """From here on everything is heard; what came before may be lost."""
        self.kept.clear()
        self.bytes = 0
        self.whole_since = self.clock()

    def keep(self, topic: str, body: bytes) -> None:
        if self.whole_since is None or not body.startswith(CHANGED):
            return
        now = self.clock()
        self.kept.append((now, topic, body))
        self.bytes += len(body)
        while self.kept and (self.kept[0][0] < now - self.seconds or self.bytes > self.most_bytes):
            at, _, old = self.kept.popleft()
            self.bytes -= len(old)
            self.whole_since = math.nextafter(at, math.inf)

    def of(self, topic: str, since: float) -> list[bytes] | None:
        """The topic's changes since then, oldest first; None where some may be missing."""
        if self.whole_since is None or since < self.whole_since:
            return None
        return [body for at, name, body in self.kept if name == topic and at >= since]
