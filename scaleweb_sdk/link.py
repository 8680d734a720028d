"""The process's end of the link: never blocks the caller, never loses what it was given.

    caller -> memory -> spool on disk -> server -> acknowledgement

One thread does everything behind `send`: it numbers batches, writes them to the spool, sends what the
server does not have yet, and hands orders to the owner. The server away for an hour costs disk, not steps.
"""

import logging
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from . import protocol
from .parcels import Parcel, parted
from .plain import plain
from .protocol import (
    Ack,
    Batch,
    Column,
    Event,
    EventKind,
    Hello,
    Hint,
    LogLine,
    Order,
    Orders,
    PackedColumn,
    Refusal,
    Welcome,
)
from .spool import Spool
from .wire import Bell, Denied, Gone, Wire, dial

logger = logging.getLogger("scaleweb")
MAX_IN_FLIGHT = 32
MAX_UNSENT = 64
LONGEST_WAIT_SECONDS = 5.0
# A script that has something to say at each step does not make a batch of each.
SHORTEST_FLUSH_SECONDS = 0.01
WELCOME_SECONDS = 30.0  # in a storm of 500 the last one waited for 17 s; dialling anew would only add to it


class Link:
    """A durable, ordered way up for points, lines and events, and a way down for orders.

    url: the site, "http://host:8000"; "" keeps everything on disk for `scaleweb sync`. token: a run or node token.
    source: "run:<code>" or "node:<name>". spool_dir: the session's batches are kept in a folder below it until
    the server acknowledged them; spool: one that is open already, in its place.
    on_orders is called from the link's thread with a list of Order; it must not block.
    applied_seq gives the last command applied, asked at each connection.
    fill, when given, is called by the link's thread before each flush for what else there is to send.
    Raises SpoolInUse, and OSError where there can be no spool.
    """

    def __init__(
        self,
        url: str,
        token: str,
        source: str,
        role: str = "process",
        session: str | None = None,
        spool_dir: str | Path = ".",
        *,
        spool: Spool | None = None,
        rank: int = 0,
        world_size: int = 1,
        attempt: int = 0,
        resumed: bool = False,
        process: dict[str, Any] | None = None,
        on_orders: Callable[[list[Order]], None] | None = None,
        on_welcome: Callable[[Welcome], None] | None = None,
        applied_seq: Callable[[], int] = lambda: 0,
        fill: Callable[[], list[Parcel]] | None = None,
        flush_seconds: float = 1.0,
        spool_limit_bytes: int = 2**30,
        sdk: str = "python-0.1.0",
    ) -> None:
        self.url, self.token = url.rstrip("/"), token
        self.session = session or uuid.uuid4().hex
        self.source, self.role, self.rank, self.world_size, self.attempt = (
            source,
            role,
            rank,
            world_size,
            attempt,
        )
        self.resumed = resumed
        self.process = plain(process or {})
        self.on_orders, self.on_welcome, self.fill = on_orders, on_welcome, fill
        self.applied_seq = applied_seq
        self.flush_seconds = self.idle_flush_seconds = flush_seconds
        self.sdk = sdk
        about = {"source": source, "session": self.session, "role": role, "rank": rank}
        about |= {"world_size": world_size, "process": self.process}
        self.spool = spool or Spool(Path(spool_dir) / self.session, about, spool_limit_bytes)
        self.seq = self.spool.last_seq
        self.acknowledged = 0
        self.sent = 0
        self.refused: Refusal | None = None
        self.connected = threading.Event()
        self.settled = threading.Event()  # the server has everything, or will have nothing
        self._pending: deque[Parcel] = deque()
        self._bell = Bell()
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._wire: Wire | None = None
        self._dialling: threading.Thread | None = None
        self._dialled: deque[Wire | Gone] = deque()
        self._dial_at, self._dial_wait = 0.0, 0.2
        self._welcome_by = 0.0
        self._gathered_at = self._flush_at = 0.0
        self._thinned_said = int(self.spool.about.get("thinned_said", 0))
        self._stumbles = 0
        # After a reconnect, what the server lacks is read from disk as it is sent: an hour of it fits no memory.
        self._backlog: Iterator[tuple[int, bytes]] = iter(())
        self._unsent: deque[tuple[int, bytes]] = deque()
        self._thread = threading.Thread(target=self._run, name="scaleweb-link", daemon=True)
        self._thread.start()

    # -- the owner's side ---------------------------------------------------------------------------

    def send(
        self,
        columns: Iterable[Column | PackedColumn] = (),
        lines: Iterable[LogLine] = (),
        events: Iterable[Event] = (),
        *,
        branch: int = 0,
        now: bool = False,
    ) -> None:
        """Queue; returns at once. now: flush without waiting for the interval."""
        self._pending.append(Parcel(branch, list(columns), list(lines), list(events)))
        if now:
            self.flush()

    def flush(self) -> None:
        """Send what there is soon. Never waits, and may be called from a signal handler."""
        self._bell.ring()

    def close(self, timeout: float = 10.0) -> bool:
        """Flush, wait for acknowledgements up to `timeout` seconds. True when the server has everything.

        What it does not have stays in the spool for the next start or `scaleweb sync`.
        """
        self._deadline = time.monotonic() + timeout
        self._closing.set()
        self._bell.ring()
        self._thread.join(timeout + 2)
        return self.complete

    def forget(self) -> None:
        """Let go of everything in a forked child, where the thread is gone: it must neither send nor write."""
        self.spool.abandon()
        if self._wire is not None:
            self._wire.forget()
        self._bell.close()

    @property
    def alive(self) -> bool:
        """Whether something may still be sent."""
        return self._thread.is_alive()

    @property
    def complete(self) -> bool:
        """Whether the server has everything that was given so far."""
        return self.acknowledged >= self.seq and not self._pending

    @property
    def behind(self) -> int:
        """Batches the server has not acknowledged."""
        return self.seq - self.acknowledged

    # -- the thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            # Asked before gathering: what is queued before `close` must be in a batch before "done" is judged.
            closing = self._closing.is_set()
            try:
                self._turn()
            except Gone as error:
                logger.debug("link lost: %s", error)
                self._drop()
            except Exception as error:  # noqa: BLE001  it is said, and the thread lives on
                self._stumble(error)
            if closing:
                nowhere = not self.url  # offline: what is on disk is all there is to do
                if self.complete or nowhere or self.refused is not None or time.monotonic() > self._deadline:
                    break
        try:
            self._end()
        except Exception as error:  # noqa: BLE001  as above
            self._stumble(error)

    def _turn(self) -> None:
        """Gather what there is, send it, and wait for the next reason to do so."""
        if time.monotonic() >= self._flush_at or self._closing.is_set():
            self._gather()
        self._dial()
        if self._wire is not None:
            self._send_batches()
        self._wait()

    def _wait(self) -> None:
        """Until the next flush is due, a frame comes, or somebody rings."""
        now = time.monotonic()
        left = self._flush_at - now
        if self._closing.is_set():
            left = min(left, 0.05)
        if self._wire is None:
            # Until the next attempt to connect, too.
            if self._dialling is None and self._may_dial():
                left = min(left, self._dial_at - now)
            self._bell.wait(max(0.0, left))
        else:
            for frame in self._wire.turn(left):
                self._handle(frame)
            if self._wire is not None and not self.connected.is_set() and now > self._welcome_by:
                raise Gone("no welcome came")
        if self._bell.hear():
            self._flush_at = min(self._flush_at, self._gathered_at + SHORTEST_FLUSH_SECONDS)

    def _end(self) -> None:
        self._gather()
        self._drop()
        if self._dialling is not None:
            self._dialling.join(0.1)
        while self._dialled:
            late = self._dialled.popleft()
            if isinstance(late, Wire):
                late.close()
        if self.acknowledged >= self.seq:
            self.spool.remove()
        else:
            self.spool.close()
        self._bell.close()

    def _stumble(self, error: Exception) -> None:
        """A fault of this module must cost a connection, not the run's record, and never the training."""
        self._stumbles += 1
        if self._stumbles == 1:
            logger.warning("scaleweb: the link stumbled; it goes on", exc_info=error)
        self._drop()
        self._flush_at = time.monotonic() + min(0.1 * self._stumbles, LONGEST_WAIT_SECONDS)

    # -- up -----------------------------------------------------------------------------------------

    def _gather(self) -> None:
        """Turn what is pending into numbered batches in the spool."""
        self._gathered_at = time.monotonic()
        self._flush_at = self._gathered_at + self.flush_seconds
        if self.fill is not None:
            self._pending.extend(self.fill())
        self._keep_pending()
        if self.connected.is_set() or self._closing.is_set():
            self._say_what_was_thinned()
            self._keep_pending()

    def _keep_pending(self) -> None:
        while self._pending:
            for batch in parted(self._pending):
                self._keep(batch)

    def _keep(self, batch: Batch) -> None:
        batch.seq = self.seq + 1
        body = self.spool.append(batch)
        self.seq = batch.seq
        if self.connected.is_set():
            self._unsent.append((batch.seq, body))
            if len(self._unsent) > MAX_UNSENT:
                self._unsent.clear()  # a slow server: read from the spool, once it is their turn

    def _say_what_was_thinned(self) -> None:
        points, lines = self.spool.thinned_points, self.spool.thinned_lines
        if points + lines <= self._thinned_said:
            return
        self._thinned_said = points + lines
        message = (
            f"while the server was away the spool reached its limit: {points} points and {lines} lines of output "
            "were thinned out, evenly over the time and the newest last; no event is missing"
        )
        logger.warning("scaleweb: %s", message)
        self._pending.append(Parcel(events=[Event(EventKind.NOTE, time.time(), None, {"message": message})]))
        self.spool.describe(thinned_said=self._thinned_said)

    def _send_batches(self) -> None:
        if not self.connected.is_set():
            return
        assert self._wire is not None
        while self.sent < self.seq and self.sent - self.acknowledged < MAX_IN_FLIGHT and not self._wire.full:
            seq, body = self._next()
            self._wire.send(body)
            self.sent = seq

    def _next(self) -> tuple[int, bytes]:
        """The batch after the last one that was sent: from memory if it is there, else from the spool."""
        while self._unsent and self._unsent[0][0] <= self.sent:
            self._unsent.popleft()
        if self._unsent and self._unsent[0][0] == self.sent + 1:
            return self._unsent.popleft()
        for _ in range(2):
            found = next(self._backlog, None)
            if found is not None and found[0] == self.sent + 1:
                return found
            self._backlog = self.spool.bodies_after(self.sent)
        # A batch that can be read no more: the server must not wait for its number for ever.
        logger.warning("scaleweb: batch %d of %s cannot be read back", self.sent + 1, self.spool.folder)
        return self.sent + 1, protocol.encode(Batch(self.sent + 1))

    # -- connection ---------------------------------------------------------------------------------

    def _may_dial(self) -> bool:
        # Without a token yet (its run is still to be created) there is nowhere to go.
        return bool(self.url and self.token) and self.refused is None

    def _dial(self) -> None:
        """Take a connection that was made, or have one made: name look-up and handshake wait beside this thread."""
        if self._dialled:
            found = self._dialled.popleft()
            self._dialling = None
            if isinstance(found, Wire):
                self._wire = found
                self._welcome_by = time.monotonic() + WELCOME_SECONDS
                self._greet()
                return
            logger.debug("no link: %s", found)
            if isinstance(found, Denied):
                self._refuse(Refusal("bad_token", str(found), True))
            # Jitter keeps 500 processes from coming back in the same instant.
            self._dial_at = time.monotonic() + self._dial_wait * random.uniform(0.5, 1.0)
            self._dial_wait = min(self._dial_wait * 2, LONGEST_WAIT_SECONDS)
        if (
            self._wire is None
            and self._dialling is None
            and self._may_dial()
            and time.monotonic() >= self._dial_at
        ):
            self._dialling = threading.Thread(target=self._make_wire, name="scaleweb-dial", daemon=True)
            self._dialling.start()

    def _make_wire(self) -> None:
        try:
            self._dialled.append(dial(self.url, self.token, self._bell))
        except Gone as error:
            self._dialled.append(error)
        except Exception as error:  # noqa: BLE001  whatever it was, the link's thread waits for an answer
            self._dialled.append(Gone(f"{self.url}: {error!r}"))
        self._bell.ring()

    def _greet(self) -> None:
        assert self._wire is not None
        hello = Hello(
            protocol=protocol.PROTOCOL_VERSION, session=self.session, sdk=self.sdk, source=self.source, role=self.role,
            rank=self.rank, world_size=self.world_size, applied_seq=self.applied_seq(), attempt=self.attempt,
            process=self.process, resumed=self.resumed, clock=time.time(),
        )  # fmt: skip
        self._wire.send(protocol.encode(hello))

    def _drop(self) -> None:
        self.connected.clear()
        wire, self._wire = self._wire, None
        self.flush_seconds = self.idle_flush_seconds
        self._backlog, self._unsent = iter(()), deque()
        if wire is not None:
            wire.close()
            self._dial_at = time.monotonic() + self._dial_wait * random.uniform(0.5, 1.0)
            self._dial_wait = min(self._dial_wait * 2, LONGEST_WAIT_SECONDS)

    # -- down ---------------------------------------------------------------------------------------

    def _handle(self, frame: bytes) -> None:
        try:
            message = protocol.decode_down(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as error:
            # A newer server may say more than this SDK knows.
            logger.debug("a frame of the server was not understood: %s", error)
            return
        if isinstance(message, Ack):
            self.acknowledged = max(self.acknowledged, min(message.seq, self.seq))
            self.spool.acknowledge(self.acknowledged)
            self._settle()
        elif isinstance(message, Orders):
            if self.on_orders is not None:
                self.on_orders(message.orders)
        elif isinstance(message, Hint):
            self.flush_seconds = min(max(message.flush_seconds, SHORTEST_FLUSH_SECONDS), 10.0)
            self._flush_at = self._gathered_at + self.flush_seconds
        elif isinstance(message, Welcome):
            self._welcomed(message)
        elif isinstance(message, Refusal):
            if message.final:
                self._refuse(message)
            raise Gone(message.message)

    def _welcomed(self, message: Welcome) -> None:
        self.acknowledged = max(self.acknowledged, min(message.last_seq, self.seq))
        self.sent = message.last_seq
        # A session whose spool was emptied goes on behind what the server has of it.
        self.seq = max(self.seq, message.last_seq)
        self.spool.acknowledge(self.acknowledged)
        self._backlog, self._unsent = iter(()), deque()
        self._dial_wait = 0.2
        if self.on_welcome is not None:
            self.on_welcome(message)
        self.connected.set()
        self._settle()

    def _settle(self) -> None:
        if self.complete or self.refused is not None:
            self.settled.set()
        else:
            self.settled.clear()

    def _refuse(self, refusal: Refusal) -> None:
        self.refused = refusal
        self._settle()
        logger.warning(
            "scaleweb: %s. Training goes on; what it logs stays in %s", refusal.message, self.spool.folder
        )


__all__: Sequence[str] = ["Link", "Parcel"]
