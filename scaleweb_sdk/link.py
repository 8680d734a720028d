"""The process's end of the link: never blocks the caller, never loses what it was given.

    caller -> memory -> spool on disk -> server -> acknowledgement

One thread does everything behind `send`: it numbers batches, writes them to the spool, sends what the
server does not have yet, and hands orders to the owner. The server away for an hour costs disk, not steps.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from . import protocol
from .bell import Bell
from .dialling import Denied, Dialler
from .outbox import Outbox
from .pace import FREQUENT_SECONDS, pause_after
from .parcels import Parcel
from .plain import plain
from .protocol import (
    Ack,
    Column,
    Event,
    Hello,
    Hint,
    LogLine,
    OpenLines,
    Order,
    Orders,
    PackedColumn,
    Refusal,
    Welcome,
)
from .spool import Spool
from .wire import Gone, Wire

logger = logging.getLogger("scaleweb")
# A script that has something to say at each step does not make a batch of each.
SHORTEST_FLUSH_SECONDS = 0.01
LONGEST_FLUSH_SECONDS = 10.0
LONGEST_STUMBLE_SECONDS = 5.0
# A bar that is redrawn ten times a second is seen to move at five, too.
OPEN_LINES_EVERY_SECONDS = 0.2
WELCOME_SECONDS = 30.0  # in a storm of 500 the last one waited for 17 s; dialling anew would only add to it


class Link:
    """A durable, ordered way up for points, lines and events, and a way down for orders.

    url: the site, "http://host:8000"; "" keeps everything on disk for `scaleweb sync`. token: a run or node token.
    source: "run:<code>" or "node:<name>". spool_dir: the session's batches are kept in a folder below it until
    the server acknowledged them; spool: one that is open already, in its place.
    on_orders is called from the link's thread with a list of Order; it must not block.
    applied_seq gives the last command applied, asked at each connection.
    fill, when given, is called by the link's thread before each flush for what else there is to send.
    open_lines, when given, for the lines that are being written: a server that takes them is sent those that changed.
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
        open_lines: Callable[[], list[LogLine]] | None = None,
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
        self.open_lines, self._open_wanted = open_lines, False
        # The open lines as the server was last told; None: it may know others.
        self._open_said: list[tuple[str, str]] | None = []
        self._open_at = 0.0
        self._open_most = protocol.LEAST_OPEN_LINES
        self.applied_seq = applied_seq
        self.flush_seconds = self.idle_flush_seconds = flush_seconds
        self.sdk = sdk
        about = {"source": source, "session": self.session, "role": role, "rank": rank}
        about |= {"world_size": world_size, "process": self.process}
        self.outbox = Outbox(spool or Spool(Path(spool_dir) / self.session, about, spool_limit_bytes))
        self.refused: Refusal | None = None
        self.connected = threading.Event()
        self.settled = threading.Event()  # the server has everything, or will have nothing
        self._bell = Bell()
        self._closing = False
        self._deadline = float("inf")
        self._wire: Wire | None = None
        self._dialler = Dialler(self._bell)
        self._welcome_by = 0.0
        self._welcomed = False
        self._gathered_at = self._flush_at = 0.0
        self._stumbles = 0
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
        self.outbox.pending.append(Parcel(branch, list(columns), list(lines), list(events)))
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
        self._closing = True
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
    def spool(self) -> Spool:
        return self.outbox.spool

    @property
    def seq(self) -> int:
        """The last batch."""
        return self.outbox.seq

    @property
    def acknowledged(self) -> int:
        """The last batch that the server has committed."""
        return self.outbox.acknowledged

    @property
    def complete(self) -> bool:
        """Whether the server has everything that was given so far."""
        return self.outbox.complete

    @property
    def behind(self) -> int:
        """Batches the server has not acknowledged."""
        return self.seq - self.acknowledged

    # -- the thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            # Asked before gathering: what is queued before `close` must be in a batch before "done" is judged.
            closing = self._closing
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
        now = time.monotonic()
        if now >= self._flush_at or self._closing:
            self._gather(now)
        if self._wire is None:
            self._connect()
        elif self._welcomed:
            self._send_batches(self._wire)
            self._send_open_lines(self._wire, now)
        self._wait()

    def _wait(self) -> None:
        """Until the next flush is due, a frame comes, or somebody rings."""
        now = time.monotonic()
        left = self._flush_at - now
        if self._closing:
            left = min(left, 0.05)
        if self._wire is None:
            # Until the next attempt to connect, too.
            if self._may_dial():
                left = min(left, self._dialler.dial(self.url, self.token))
            self._bell.wait(left)
        else:
            for frame in self._wire.turn(left, self._patient):
                self._handle(frame)
            if not self._welcomed and self._wire is not None and now > self._welcome_by:
                raise Gone("no welcome came")
        if self._bell.hear():
            self._flush_at = min(self._flush_at, self._gathered_at + SHORTEST_FLUSH_SECONDS)

    @property
    def _patient(self) -> bool:
        """Whether all that is waited for is an acknowledgement, which may be read at the next flush."""
        outbox = self.outbox
        return (
            outbox.acknowledged < outbox.sent == outbox.seq
            and self.flush_seconds <= FREQUENT_SECONDS
            and self._welcomed
            and not self._closing
        )

    def _end(self) -> None:
        self._gather(time.monotonic())
        self._drop()
        self._dialler.end()
        self.outbox.end()
        self._bell.close()

    def _stumble(self, error: Exception) -> None:
        """A fault of this module must cost a connection, not the run's record, and never the training."""
        self._stumbles += 1
        if self._stumbles == 1:
            logger.warning("scaleweb: the link stumbled; it goes on", exc_info=error)
        self._drop()
        self._flush_at = time.monotonic() + min(0.1 * self._stumbles, LONGEST_STUMBLE_SECONDS)

    # -- up -----------------------------------------------------------------------------------------

    def _gather(self, now: float) -> None:
        """Turn what is pending into numbered batches in the spool."""
        self._gathered_at = now
        self._flush_at = now + self.flush_seconds
        outbox = self.outbox
        if self.fill is not None:
            parcels = self.fill()
            self._flush_at = now + pause_after(parcels, self.flush_seconds)
            outbox.pending.extend(parcels)
        outbox.keep(self._welcomed)
        if self._welcomed or self._closing:
            outbox.say_what_was_thinned()
            outbox.keep(self._welcomed)

    def _send_batches(self, wire: Wire) -> None:
        while self.outbox.may_send and not wire.full:
            wire.send(self.outbox.next())

    def _send_open_lines(self, wire: Wire, now: float) -> None:
        """Only after all batches: what they hold stands above, and who is behind has other things to send."""
        if self.open_lines is None or not self._open_wanted or (now < self._open_at and not self._closing):
            return
        if self.outbox.sent < self.outbox.seq or wire.full:
            return
        lines = self.open_lines()[-self._open_most :]
        said = [(line.stream, line.text) for line in lines]
        if said != self._open_said:
            wire.send(protocol.encode(OpenLines(lines)))
            self._open_said = said
            self._open_at = now + OPEN_LINES_EVERY_SECONDS

    # -- connection ---------------------------------------------------------------------------------

    def _may_dial(self) -> bool:
        # Without a token yet (its run is still to be created) there is nowhere to go.
        return bool(self.url and self.token) and self.refused is None

    def _connect(self) -> None:
        """Take a connection that was made."""
        found = self._dialler.take()
        if isinstance(found, Denied):
            self._refuse(Refusal("bad_token", str(found), True))
        if isinstance(found, Wire):
            self._wire = found
            self._welcome_by = time.monotonic() + WELCOME_SECONDS
            self._greet()

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
        self._welcomed = False
        wire, self._wire = self._wire, None
        self.flush_seconds = self.idle_flush_seconds
        self.outbox.dropped()
        if wire is not None:
            wire.close()
            self._dialler.put_off()

    # -- down ---------------------------------------------------------------------------------------

    def _handle(self, frame: bytes) -> None:
        try:
            message = protocol.decode_down(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as error:
            # A newer server may say more than this SDK knows.
            logger.debug("a frame of the server was not understood: %s", error)
            return
        if isinstance(message, Ack):
            self.outbox.acknowledge(message.seq)
            self._settle()
        elif isinstance(message, Orders):
            if self.on_orders is not None:
                self.on_orders(message.orders)
        elif isinstance(message, Hint):
            self.flush_seconds = min(
                max(message.flush_seconds, SHORTEST_FLUSH_SECONDS), LONGEST_FLUSH_SECONDS
            )
            self._flush_at = self._gathered_at + self.flush_seconds
        elif isinstance(message, Welcome):
            self._begin(message)
        elif isinstance(message, Refusal):
            if message.final:
                self._refuse(message)
            raise Gone(message.message)

    def _begin(self, welcome: Welcome) -> None:
        self.outbox.welcomed(welcome.last_seq)
        self._dialler.succeeded()
        self._open_wanted = "open_lines" in welcome.knows
        self._open_most = (
            protocol.MOST_OPEN_LINES if "nested_bars" in welcome.knows else protocol.LEAST_OPEN_LINES
        )
        if self._open_said:
            self._open_said = None
        if self.on_welcome is not None:
            self.on_welcome(welcome)
        self._welcomed = True
        self.connected.set()
        self._settle()

    def _settle(self) -> None:
        settled = self.complete or self.refused is not None
        if settled is not self.settled.is_set():
            self.settled.set() if settled else self.settled.clear()

    def _refuse(self, refusal: Refusal) -> None:
        self.refused = refusal
        self._settle()
        logger.warning(
            "scaleweb: %s. Training goes on; what it logs stays in %s", refusal.message, self.spool.folder
        )


__all__: Sequence[str] = ["Link", "Parcel"]
