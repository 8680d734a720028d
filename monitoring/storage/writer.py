"""The one writer of the series database: takes batches from any thread, commits them in groups.

SQLite's lock is unfair, so several writers see tails of seconds; one that commits what has gathered while
it committed the last group sees none. The same writer serves PostgreSQL, where several web processes may
each have one.
"""

import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import DatabaseError, OperationalError, connections, transaction

from scaleweb_sdk.protocol import Batch

from .batches import pack
from .logs import pack_lines

logger = logging.getLogger(__name__)
QUEUE_LENGTH = 4096
GROUP_LENGTH = 512
GROUP_BYTES = 32 * 2**20
LOCKED_TRIES = 5


class GapError(ValueError):
    """A batch came whose number does not follow the last one stored."""

    def __init__(self, source: str, seq: int, expected: int) -> None:
        super().__init__(f"batch {seq} of {source} came; expected {expected}")
        self.expected = expected


class WriterStopped(RuntimeError):
    """The writer has been told to stop and takes nothing more."""


@dataclass
class Item:
    source: str
    session: str
    batch: Batch
    body: bytes
    points: int
    received_at: float
    future: "Future[int]" = field(default_factory=Future)
    outcome: int | Exception = 0


def item_of(source: str, session: str, batch: Batch) -> Item:
    body, points = pack(batch)
    return Item(source, session, batch, body, points, time.time())


class SeriesWriter:
    """One thread with its own connection. `submit` from anywhere; `stop` flushes and ends it."""

    def __init__(self) -> None:
        self.queue: queue.Queue[Item | None] = queue.Queue(QUEUE_LENGTH)
        self.stopped = False
        # Between `submit`'s look at `stopped` and its `put`, `stop` must not put its end mark.
        self.gate = threading.Lock()
        self.thread = threading.Thread(target=self._run, name="series-writer", daemon=True)
        self.thread.start()

    @property
    def alive(self) -> bool:
        return self.thread.is_alive()

    def submit(self, source: str, session: str, batch: Batch) -> "Future[int]":
        """Queue a batch. The future gives the session's last seq once it is committed, or GapError, DatabaseError.

        Blocks while the queue is full: callers bound what they have in flight.
        """
        item = item_of(source, session, batch)
        with self.gate:
            if self.stopped or not self.alive:
                raise WriterStopped("the series writer is stopped")
            self.queue.put(item)
        return item.future

    def stop(self, timeout: float = 10) -> None:
        """Commit what is queued, then end."""
        with self.gate:
            self.stopped = True
            self.queue.put(None)
        self.thread.join(timeout)

    def _run(self) -> None:
        running = True
        while running:
            group, size = [], 0
            item = self.queue.get()
            while item is not None:
                group.append(item)
                size += len(item.body)
                if len(group) >= GROUP_LENGTH or size >= GROUP_BYTES:
                    break
                try:
                    item = self.queue.get_nowait()
                except queue.Empty:
                    break
            running = item is not None
            if group:
                self._commit(group)
        connections.close_all()

    def _commit(self, group: list[Item]) -> None:
        try:
            store(group)
        except Exception as error:  # noqa: BLE001  the writer must outlive any one batch
            logger.warning("a group of %d batches was not committed: %s", len(group), error)
            connections[settings.SERIES_DATABASE].close()
            if len(group) > 1:
                # One of them may be at fault: the others must not suffer.
                for item in group:
                    self._commit([item])
                return
            group[0].outcome = error
        for item in group:
            if isinstance(item.outcome, Exception):
                item.future.set_exception(item.outcome)
            else:
                item.future.set_result(item.outcome)


def store(group: Sequence[Item]) -> None:
    """Commit a group in one transaction; each item's outcome is its session's last seq, or its GapError."""
    for attempt in range(LOCKED_TRIES):
        try:
            with transaction.atomic(using=settings.SERIES_DATABASE):
                _store(group)
            return
        except OperationalError as error:
            if "locked" not in str(error) or attempt == LOCKED_TRIES - 1:
                raise
            time.sleep(0.05 * (attempt + 1))


def _store(group: Sequence[Item]) -> None:
    connection = connections[settings.SERIES_DATABASE]
    with connection.cursor() as cursor:
        last = read_sessions(cursor, connection.vendor, {(item.source, item.session) for item in group})
        before = dict(last)
        rows = []
        lines: dict[str, list[Any]] = defaultdict(list)
        for item in group:
            session = item.source, item.session
            have = last.get(session, 0)
            if item.batch.seq > have + 1:
                item.outcome = GapError(item.source, item.batch.seq, have + 1)
                continue
            if item.batch.seq == have + 1:
                last[session] = item.batch.seq
                if item.points:
                    rows.append(
                        (
                            *session,
                            item.batch.seq,
                            item.batch.branch,
                            item.points,
                            item.received_at,
                            item.body,
                        )
                    )
                lines[item.source] += item.batch.lines
            item.outcome = last.get(session, have)
        insert_batches(cursor, connection.vendor, rows)
        changed = [(*session, seq) for session, seq in last.items() if before.get(session) != seq]
        if changed:
            cursor.executemany(
                "INSERT INTO monitoring_seriessession (source, session, last_seq) VALUES (%s, %s, %s) "
                "ON CONFLICT (source, session) DO UPDATE SET last_seq = excluded.last_seq",
                changed,
            )
        write_lines(cursor, connection.vendor, lines)


BATCH_COLUMNS = "source, session, seq, branch, points, received_at, body"
BATCH_TYPES = ("varchar", "varchar", "int8", "int4", "int4", "float8", "bytea")


def insert_batches(cursor: Any, vendor: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if vendor == "postgresql" and rows:
        # As a statement's parameters the bytes would travel in hexadecimal, and be parsed.
        with cursor.copy(f"COPY monitoring_seriesbatch ({BATCH_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(BATCH_TYPES)
            for row in rows:
                copy.write_row(row)
    elif rows:
        cursor.executemany(
            f"INSERT INTO monitoring_seriesbatch ({BATCH_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)",  # noqa: S608
            rows,
        )


def read_sessions(cursor: Any, vendor: str, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Last seq of each session that has one."""
    if vendor == "postgresql":
        # A row that does not exist cannot be locked: two processes could both take a session's first batch.
        cursor.executemany(
            "INSERT INTO monitoring_seriessession (source, session, last_seq) VALUES (%s, %s, 0) "
            "ON CONFLICT (source, session) DO NOTHING",
            sorted(wanted),
        )
    sessions = sorted({session for _, session in wanted})
    marks = ", ".join(["%s"] * len(sessions))
    # Two web processes may hold the same session for a moment (a reconnect): PostgreSQL needs the row locks,
    # SQLite has the whole database locked by now.
    lock = " ORDER BY id FOR UPDATE" if vendor == "postgresql" else ""
    cursor.execute(
        f"SELECT source, session, last_seq FROM monitoring_seriessession WHERE session IN ({marks}){lock}",  # noqa: S608
        sessions,
    )
    return {(source, session): seq for source, session, seq in cursor.fetchall()}


def lock_source(cursor: Any, vendor: str, source: str) -> None:
    """One transaction at a time numbers a source's lines, replaces its chunks or deletes it; SQLite is so anyway."""
    if vendor == "postgresql":
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [source])


def write_lines(cursor: Any, vendor: str, lines: dict[str, list[Any]]) -> None:
    for source, found in sorted(lines.items()):
        if not found:
            continue
        lock_source(cursor, vendor, source)
        cursor.execute(
            "SELECT first_line + lines FROM monitoring_logchunk WHERE source = %s ORDER BY first_line DESC LIMIT 1",
            [source],
        )
        row = cursor.fetchone()
        cursor.execute(
            "INSERT INTO monitoring_logchunk (source, first_line, lines, at, body) VALUES (%s, %s, %s, %s, %s)",
            [source, row[0] if row else 0, len(found), found[-1].time, pack_lines(found)],
        )


shared: SeriesWriter | None = None
guard = threading.Lock()


def writer() -> SeriesWriter:
    """This process's writer, started on first use."""
    global shared
    with guard:
        if shared is None or shared.stopped or not shared.alive:
            shared = SeriesWriter()
        return shared


def stop_writer() -> None:
    """Flush and end this process's writer, if it has one."""
    global shared
    with guard:
        if shared is not None:
            shared.stop()
            shared = None


def append(source: str, session: str, batches: Sequence[Batch]) -> int:
    """Store batches of a session and return its last seq, committed. Raises GapError, DatabaseError.

    Where this process has a writer it goes through it; a command or a test writes on its own connection.
    """
    if not batches:
        return last_seq(source, session)
    if shared is not None and shared.alive and not shared.stopped:
        return [shared.submit(source, session, batch) for batch in batches][-1].result(timeout=30)
    group = [item_of(source, session, batch) for batch in batches]
    store(group)
    for item in group:
        if isinstance(item.outcome, Exception):
            raise item.outcome
    last = group[-1].outcome
    assert isinstance(last, int)
    return last


def last_seq(source: str, session: str) -> int:
    """The last batch of this session that is stored, 0 for none."""
    with connections[settings.SERIES_DATABASE].cursor() as cursor:
        cursor.execute(
            "SELECT last_seq FROM monitoring_seriessession WHERE source = %s AND session = %s",
            [source, session],
        )
        row = cursor.fetchone()
    return row[0] if row else 0


__all__ = [
    "DatabaseError",
    "GapError",
    "SeriesWriter",
    "WriterStopped",
    "append",
    "last_seq",
    "stop_writer",
    "writer",
]
