"""How slowly senders should flush: more slowly while the server is behind, as before once it is not."""

from training import metrics

# From a batch's arrival to its commit: above the first it is late, below the second all is well.
LATE_SECONDS = 0.5
QUICK_SECONDS = 0.1
FIRST_FLUSH_SECONDS = 0.25
LONGEST_FLUSH_SECONDS = 10.0


class Pressure:
    """`flush_seconds`: the least interval that senders are asked to keep, 0 while the server keeps up.

    Doubled at each look at which batches were late, halved at each at which they were quick: the same points then
    come in fewer, larger batches, whose commits cost less.
    """

    def __init__(self) -> None:
        self.flush_seconds = 0.0
        self.slowest = 0.0

    def note(self, seconds: float) -> None:
        """A batch was committed so long after it arrived."""
        self.slowest = max(self.slowest, seconds)

    def look(self, waiting_seconds: float) -> bool:
        """Once a second; `waiting_seconds`: how long the oldest batch waits by now. True when the interval changed."""
        late, self.slowest = max(self.slowest, waiting_seconds), 0.0
        before = self.flush_seconds
        if late > LATE_SECONDS:
            self.flush_seconds = min(max(before * 2, FIRST_FLUSH_SECONDS), LONGEST_FLUSH_SECONDS)
        elif late < QUICK_SECONDS:
            self.flush_seconds = before / 2 if before > FIRST_FLUSH_SECONDS else 0.0
        metrics.FLUSH_SECONDS.set(self.flush_seconds)
        return self.flush_seconds != before
