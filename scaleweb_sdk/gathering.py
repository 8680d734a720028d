"""What a run's calls leave in memory, and the parcels that the link's thread makes of it.

The training thread only appends to the two queues; all else here runs in the link's thread.
"""

import contextlib
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from . import points, process
from .parcels import Parcel
from .protocol import Event, EventKind

if TYPE_CHECKING:
    from .run import Run

logger = logging.getLogger("scaleweb")
USAGE_EVERY_SECONDS = 2.0
# Calls of `log` that wait for the link's thread: from the first number on it is woken, beyond the second the oldest
# are thinned. It comes to that only when the thread gets no turn for long.
CROWDED = 20_000
MOST_RECORDS = 300_000
THINNED_AT_ONCE = 2_000


class Gathering:
    """records: (branch, (step, time, items)) of each call of `log`; events: (branch, Event)."""

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.records: deque[tuple[int, points.Record]] = deque()
        self.events: deque[tuple[int, Event]] = deque()
        self.complaints = points.Complaints()
        self._table = points.Table(self.complaints)
        self._thinned = 0
        self._usage = process.Usage()
        self._usage_at = time.monotonic()

    def fill(self) -> list[Parcel]:
        """Everything since the last flush, a parcel for each branch."""
        self._note_usage()
        # Events before points: all that was logged before FINISH then goes up no later than it.
        lines = self.run.printed()
        events = by_branch(self.events)
        records = by_branch(self.records)
        parcels = []
        for branch in sorted({*records, *events, *((self.run.branch,) if lines else ())}):
            columns = self._table.columns(records.get(branch, ()))
            parcels.append(Parcel(branch, columns, lines, events.get(branch, ())))
            lines = []
        for message in self._remarks():
            logger.warning("scaleweb: %s", message)
            note = Event(EventKind.NOTE, time.time(), None, {"message": message})
            # Before the events of the last parcel, of which FINISH is to stay the last.
            last = parcels.pop() if parcels else Parcel(self.run.branch)
            parcels.append(last._replace(events=[note, *last.events]))
        return parcels

    def _note_usage(self) -> None:
        now, run = time.monotonic(), self.run
        if run.rank == 0 and now - self._usage_at >= USAGE_EVERY_SECONDS and not run.finished:
            self._usage_at = now
            items = tuple(self._usage.read().items())
            self.records.append((run.branch, (run.current_step, time.time(), items)))

    def _remarks(self) -> list[str]:
        if self._thinned:
            self.complaints.add(
                "thinned",
                "log() was called faster than its points could be taken: of the oldest that waited, every second "
                "was left out",
            )
        return self.complaints.take()

    def crowded(self) -> None:
        """From the training thread, when more than CROWDED calls wait."""
        link, waiting = self.run.link, self.records
        if link is not None:
            link.flush()
        if link is None or len(waiting) <= MOST_RECORDS:
            return
        try:
            oldest = [waiting.popleft() for _ in range(THINNED_AT_ONCE)]
        except IndexError:  # the link's thread took them meanwhile
            return
        kept = oldest[1::2]
        waiting.extendleft(reversed(kept))
        self._thinned += len(oldest) - len(kept)


class Nowhere(deque[Any]):
    """Takes what comes too late. why: said once, for what a script might not expect."""

    def __init__(self, why: str) -> None:
        super().__init__((), 0)
        self._why = why

    def append(self, item: Any) -> None:
        if self._why:
            logger.warning("scaleweb: what is logged now is not recorded: %s", self._why)
            self._why = ""


def by_branch(queue: deque[Any]) -> dict[int, list[Any]]:
    """Takes what is in the queue now, pairs of a branch and more; other threads may append and take meanwhile."""
    found: dict[int, list[Any]] = {}
    with contextlib.suppress(IndexError):
        for _ in range(len(queue)):
            branch, each = queue.popleft()
            found.setdefault(branch, []).append(each)
    return found
