"""What goes up, from parcels to numbered batches: kept in the spool until acknowledged, sent in order.

All of it belongs to the link's thread; other threads only read the numbers.
"""

import logging
import time
from collections import deque
from collections.abc import Iterator

from . import protocol
from .parcels import Parcel, parted
from .protocol import Batch, Event, EventKind
from .spool import Spool

logger = logging.getLogger("scaleweb")
MAX_IN_FLIGHT = 32
MAX_AT_HAND = 64


class Outbox:
    """seq: the last batch that was kept, sent: that was handed out, acknowledged: that the server has."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.pending: deque[Parcel] = deque()
        self.seq = spool.last_seq
        self.sent = self.acknowledged = 0
        self._thinned_said = int(spool.about.get("thinned_said", 0))
        # After a reconnect, what the server lacks is read from disk as it is sent: an hour of it fits no memory.
        self._backlog: Iterator[tuple[int, bytes]] = iter(())
        self._at_hand: deque[tuple[int, bytes]] = deque()

    @property
    def complete(self) -> bool:
        return self.acknowledged >= self.seq and not self.pending

    def keep(self, connected: bool) -> None:
        """Turn what is pending into numbered batches in the spool."""
        while self.pending:
            for batch in parted(self.pending):
                batch.seq = self.seq + 1
                body = self.spool.append(batch)
                self.seq = batch.seq
                if connected:
                    self._at_hand.append((batch.seq, body))
                    if len(self._at_hand) > MAX_AT_HAND:
                        self._at_hand.clear()  # a slow server: read from the spool, once it is their turn

    def say_what_was_thinned(self) -> None:
        """Leave a note of it, once for each time."""
        points, lines = self.spool.thinned_points, self.spool.thinned_lines
        if points + lines <= self._thinned_said:
            return
        self._thinned_said = points + lines
        message = (
            f"while the server was away the spool reached its limit: {points} points and {lines} lines of output "
            "were thinned out, evenly over the time and the newest last; no event is missing"
        )
        logger.warning("scaleweb: %s", message)
        self.pending.append(Parcel(events=[Event(EventKind.NOTE, time.time(), None, {"message": message})]))
        self.spool.describe(thinned_said=self._thinned_said)

    @property
    def may_send(self) -> bool:
        """Whether there is a next one, and the server has not too many of those before it to commit."""
        return self.sent < self.seq and self.sent - self.acknowledged < MAX_IN_FLIGHT

    def next(self) -> bytes:
        """The batch after the last one that was sent: from memory if it is there, else from the spool."""
        self.sent += 1
        while self._at_hand and self._at_hand[0][0] < self.sent:
            self._at_hand.popleft()
        if self._at_hand and self._at_hand[0][0] == self.sent:
            return self._at_hand.popleft()[1]
        for _ in range(2):
            found = next(self._backlog, None)
            if found is not None and found[0] == self.sent:
                return found[1]
            self._backlog = self.spool.bodies_after(self.sent - 1)
        # A batch that can be read no more: the server must not wait for its number for ever.
        logger.warning("scaleweb: batch %d of %s cannot be read back", self.sent, self.spool.folder)
        return protocol.encode(Batch(self.sent))

    def acknowledge(self, seq: int) -> None:
        self.acknowledged = max(self.acknowledged, min(seq, self.seq))
        self.spool.acknowledge(self.acknowledged)

    def welcomed(self, last_seq: int) -> None:
        """The server has this session's batches up to `last_seq`: go on behind it."""
        self.sent = last_seq
        self.acknowledged = max(self.acknowledged, min(last_seq, self.seq))
        # A session whose spool was emptied goes on behind what the server has of it.
        self.seq = max(self.seq, last_seq)
        self.spool.acknowledge(self.acknowledged)
        self.dropped()

    def dropped(self) -> None:
        """The connection is over: what it did not bring up is read from the spool."""
        self._backlog, self._at_hand = iter(()), deque()

    def end(self) -> None:
        """Close the spool, or delete it when the server has all of it."""
        if self.acknowledged >= self.seq:
            self.spool.remove()
        else:
            self.spool.close()
