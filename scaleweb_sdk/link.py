"""The process's end of the link: never blocks the caller, never loses what it was given.

    caller -> memory -> spool on disk -> server -> acknowledgement

One thread does everything behind `send`: it numbers batches, writes them to the spool, sends what the
server does not have yet, and hands orders to the owner. The server away for an hour costs disk, not steps.
"""

import contextlib
import logging
import random
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from . import protocol
from .protocol import Ack, Batch, Column, Event, Hello, Hint, LogLine, Order, Orders, Refusal, Welcome
from .spool import Spool, SpoolFull

logger = logging.getLogger("scaleweb")
MAX_IN_FLIGHT = 32
MAX_POINTS_PER_BATCH = 50_000
LONGEST_WAIT_SECONDS = 5.0
LAST_WORDS_SECONDS = 1.0


class Parcel(NamedTuple):
    """What goes up together; a batch holds parcels of one branch."""

    branch: int = 0
    columns: Sequence[Column] = ()
    lines: Sequence[LogLine] = ()
    events: Sequence[Event] = ()


class Link:
    """A durable, ordered way up for points, lines and events, and a way down for orders.

    url: the site, "http://host:8000"; "" keeps everything on disk for `scaleweb sync`. token: a run or node token.
    source: "run:<code>" or "node:<name>". spool_dir: the session's batches are kept in a folder below it until
    the server acknowledged them.
    on_orders is called from the link's thread with a list of Order; it must not block.
    applied_seq gives the last command applied, asked at each connection.
    fill, when given, is called by the link's thread before each flush for what else there is to send.
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
        rank: int = 0,
        world_size: int = 1,
        attempt: int = 0,
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
        self.process = process or {}
        self.on_orders, self.on_welcome, self.fill = on_orders, on_welcome, fill
        self.applied_seq = applied_seq
        self.flush_seconds = self.idle_flush_seconds = flush_seconds
        self.sdk = sdk
        about = {"source": source, "session": self.session, "role": role, "rank": rank}
        self.spool = Spool(
            Path(spool_dir) / self.session,
            about | {"world_size": world_size, "process": self.process},
            spool_limit_bytes,
        )
        self.seq = self.spool.last_seq
        self.acknowledged = 0
        self.sent = 0
        self.refused: Refusal | None = None
        self.connected = threading.Event()
        self.dropped_points = 0
        self._pending: deque[Parcel] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._connection: ClientConnection | None = None
        # After a reconnect, what the server lacks is read from disk as it is sent: an hour of it fits no memory.
        self._backlog: Iterator[Batch] = iter(())
        self._unsent: deque[Batch] = deque()
        self._thread = threading.Thread(target=self._run, name="scaleweb-link", daemon=True)
        self._thread.start()

    # -- the owner's side ---------------------------------------------------------------------------

    def send(
        self,
        columns: Iterable[Column] = (),
        lines: Iterable[LogLine] = (),
        events: Iterable[Event] = (),
        *,
        branch: int = 0,
        now: bool = False,
    ) -> None:
        """Queue; returns at once. now: flush without waiting for the interval."""
        self._pending.append(Parcel(branch, list(columns), list(lines), list(events)))
        if now:
            self._wake.set()

    def flush(self) -> None:
        self._wake.set()

    def close(self, timeout: float = 10.0) -> bool:
        """Flush, wait for acknowledgements up to `timeout` seconds. True when the server has everything.

        What it does not have stays in the spool for the next start or `scaleweb sync`.
        """
        self._deadline = time.monotonic() + timeout
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout + 2)
        return self.acknowledged >= self.seq and not self._pending

    @property
    def behind(self) -> int:
        """Batches the server has not acknowledged."""
        return self.seq - self.acknowledged

    # -- the thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        retry_at, wait = 0.0, 0.2
        while True:
            # Asked before gathering: what is queued before `close` must be in a batch before "done" is judged.
            closing = self._closing.is_set()
            try:
                self._gather()
            except OSError as error:
                logger.warning("the spool %s cannot be written: %s", self.spool.folder, error)
            # Without a token yet (its run is still to be created) there is nowhere to go.
            ready = self._connection is None and self.refused is None and bool(self.token)
            if ready and time.monotonic() >= retry_at:
                if self._connect():
                    wait = 0.2
                else:
                    # Jitter keeps 500 processes from coming back in the same instant.
                    retry_at = time.monotonic() + wait * random.uniform(0.5, 1.0)
                    wait = min(wait * 2, LONGEST_WAIT_SECONDS)
            if self._connection is not None:
                try:
                    self._send_batches()
                    self._receive()
                except (ConnectionClosed, OSError, TimeoutError) as error:
                    logger.debug("link lost: %s", error)
                    self._hear_last_words()
                    self._drop()
            else:
                self._wake.wait(min(self.flush_seconds, 0.2))
                self._wake.clear()
            if closing:
                done = self.acknowledged >= self.seq and not self._pending
                nowhere = not self.url  # offline: what is on disk is all there is to do
                if done or nowhere or self.refused is not None or time.monotonic() > self._deadline:
                    break
        try:
            self._gather()
        except OSError as error:
            logger.warning("the spool %s cannot be written: %s", self.spool.folder, error)
        self._drop()
        if self.acknowledged >= self.seq:
            self.spool.remove()
        else:
            self.spool.close()

    def _gather(self) -> None:
        """Turn what is pending into numbered batches on disk."""
        if self.fill is not None:
            self._pending.extend(self.fill())
        while self._pending:
            self._make_batch()

    def _make_batch(self) -> None:
        branch = self._pending[0].branch
        columns: list[Column] = []
        lines: list[LogLine] = []
        events: list[Event] = []
        points = 0
        while self._pending and self._pending[0].branch == branch:
            parcel = self._pending.popleft()
            columns += parcel.columns
            lines += parcel.lines
            events += parcel.events
            points += sum(len(column.steps) for column in parcel.columns)
            if points >= MAX_POINTS_PER_BATCH or len(lines) >= 5000:
                break
        if not (columns or lines or events):
            return
        batch = Batch(self.seq + 1, branch, merged(columns), [], lines, events)
        try:
            self.spool.append(batch)
        except SpoolFull as error:
            # Events steer the run's record and are small; points are what fills a disk.
            if self.dropped_points == 0:
                logger.warning("%s; points are dropped until the server is back", error)
            self.dropped_points += points
            if not events:
                return
            batch = Batch(self.seq + 1, branch, [], [], [], events)
            self.spool.limit_bytes += 2**20
            self.spool.append(batch)
        self.seq = batch.seq
        if self._connection is not None:
            self._unsent.append(batch)

    def _connect(self) -> bool:
        parts = urlsplit(self.url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        address = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{protocol.LINK_PATH}"
        try:
            connection = connect(
                address,
                additional_headers={"Authorization": f"Bearer {self.token}"},
                open_timeout=5,
                close_timeout=1,
                ping_interval=10,
                ping_timeout=10,
                max_size=protocol.MAX_FRAME_BYTES,
                compression=None,
                proxy=None,
            )
            connection.__enter__()  # websockets 17 warns of connections that are not entered; `_drop` closes
        except InvalidStatus as error:
            if error.response.status_code in {401, 403}:
                self._refuse(
                    Refusal("bad_token", f"the server refused the token ({error.response.status_code})", True)
                )
            return False
        except (OSError, InvalidHandshake, TimeoutError, ConnectionClosed) as error:
            logger.debug("no link to %s: %s", self.url, error)
            return False
        # Nagle's algorithm against delayed acknowledgements costs 40 ms a reply.
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        hello = Hello(
            protocol=protocol.PROTOCOL_VERSION, session=self.session, sdk=self.sdk, source=self.source, role=self.role,
            rank=self.rank, world_size=self.world_size, applied_seq=self.applied_seq(), attempt=self.attempt,
            process=self.process, clock=time.time(),
        )  # fmt: skip
        try:
            connection.send(protocol.encode(hello))
            while not self.connected.is_set():
                self._handle(connection.recv(timeout=5))
                if self._connection is None:
                    return False
        except (ConnectionClosed, OSError, TimeoutError) as error:
            logger.debug("no welcome from %s: %s", self.url, error)
            self._hear_last_words()
            self._drop()
            return False
        return True

    def _hear_last_words(self) -> None:
        """Take what came before the connection broke: a send that met the closed door must not hide why."""
        until = time.monotonic() + LAST_WORDS_SECONDS
        while self._connection is not None and (left := until - time.monotonic()) > 0:
            try:
                self._handle(self._connection.recv(timeout=left))
            except (ConnectionClosed, OSError, TimeoutError):
                return

    def _send_batches(self) -> None:
        assert self._connection is not None
        while self.sent - self.acknowledged < MAX_IN_FLIGHT:
            batch = next(self._backlog, None) or (self._unsent.popleft() if self._unsent else None)
            if batch is None:
                return
            if batch.seq > self.sent:
                self._connection.send(protocol.encode(batch))
                self.sent = batch.seq

    def _receive(self) -> None:
        """Wait for the server, the flush interval or a wake-up, whichever is first."""
        until = time.monotonic() + (0.0 if self._pending and self._wake.is_set() else self.flush_seconds)
        while self._connection is not None:
            left = until - time.monotonic()
            with contextlib.suppress(TimeoutError):
                self._handle(self._connection.recv(timeout=max(0.0, min(left, 0.02))))
            if self._wake.is_set():
                self._wake.clear()
                return
            if left <= 0 or (self._closing.is_set() and self.acknowledged >= self.seq):
                return
            if self.sent < self.seq:
                self._send_batches()

    def _handle(self, frame: Any) -> None:
        try:
            message = protocol.decode_down(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as error:
            # A newer server may say more than this SDK knows.
            logger.debug("a frame of the server was not understood: %s", error)
            return
        if isinstance(message, Ack):
            self.acknowledged = max(self.acknowledged, message.seq)
            self.spool.acknowledge(self.acknowledged)
        elif isinstance(message, Orders):
            if self.on_orders is not None:
                self.on_orders(message.orders)
        elif isinstance(message, Hint):
            self.flush_seconds = min(max(message.flush_seconds, 0.02), 10.0)
        elif isinstance(message, Welcome):
            self.acknowledged = max(self.acknowledged, message.last_seq)
            self.sent = message.last_seq
            self.spool.acknowledge(message.last_seq)
            self._backlog, self._unsent = self.spool.after(message.last_seq), deque()
            if self.on_welcome is not None:
                self.on_welcome(message)
            self.connected.set()
        elif isinstance(message, Refusal):
            if message.final:
                self._refuse(message)
            else:
                logger.info("the server closed the link: %s", message.message)
            self._drop()

    def _refuse(self, refusal: Refusal) -> None:
        self.refused = refusal
        logger.warning(
            "scaleweb: %s. Training goes on; what it logs stays in %s", refusal.message, self.spool.folder
        )

    def _drop(self) -> None:
        self.connected.clear()
        connection, self._connection = self._connection, None
        self.flush_seconds = self.idle_flush_seconds
        if connection is not None:
            try:
                connection.close()
            except (OSError, ConnectionClosed):
                logger.debug("the connection was already gone")


def merged(columns: list[Column]) -> list[Column]:
    """One column a key, points in the order they came."""
    by_key: dict[str, Column] = {}
    for column in columns:
        have = by_key.get(column.key)
        if have is None:
            by_key[column.key] = Column(
                column.key, list(column.steps), list(column.times), list(column.values)
            )
        else:
            have.steps += column.steps
            have.times += column.times
            have.values += column.values
    return list(by_key.values())
