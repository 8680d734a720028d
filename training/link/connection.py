"""One link: frames in, in order; batches committed, in order; acknowledgements and orders out.

Batches are taken in while earlier ones commit, up to a limit; beyond it nothing more is read, so a sender
that is faster than the disk is slowed by its own socket.
"""

import asyncio
import concurrent.futures
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from django.db import Error as DatabaseError

from monitoring.live import frames as live_frames
from monitoring.live.channels import LIVE_CHANNEL
from monitoring.storage import series
from scaleweb_sdk.protocol import (
    SERVER_KNOWS,
    Ack,
    Batch,
    Event,
    EventKind,
    Hello,
    Hint,
    OpenLines,
    Orders,
    Welcome,
    encode,
)
from training import commands, events, metrics
from training.models import Run

from . import admission, frames
from .figures import RunFigures
from .open_lines import OpenLinesShown
from .refusal import Refused

if TYPE_CHECKING:
    from .hub import LinkHub

logger = logging.getLogger(__name__)
HELLO_SECONDS = 10
BATCHES_IN_FLIGHT = 32
BYTES_IN_FLIGHT = 16 * 2**20
LARGE_BATCH_POINTS = 2_000
DRAIN_SECONDS = 30
WATCHED_FLUSH_SECONDS = 0.05
IDLE_FLUSH_SECONDS = 1.0
NODE_SEEN_SECONDS = 2.0
CLOCK_BACK_SECONDS = 1.0
# Close codes of the websocket layer, which ended the link before a frame was whole.
BROKEN_FRAMES = {1002: "bad_frame", 1007: "bad_frame", 1009: "too_large"}

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Gone(Exception):
    """The other end closed the connection."""


class Connection:
    """From the accepted handshake to the last frame. `hub` is the process-wide side."""

    def __init__(self, hub: "LinkHub", receive: Receive, send: Send):
        self.hub = hub
        self.receive_message = receive
        self.send_message = send
        self.hello: Hello
        self.identity: admission.Identity
        self.heard_at = time.monotonic()
        self.finished = asyncio.Event()
        self.verdict: asyncio.Future[Refused] = asyncio.get_running_loop().create_future()
        self.keys: set[str] = set()
        self.last_taken = 0  # the last batch handed to the writer
        self.last_acked = 0
        self.in_flight: asyncio.Queue[tuple[Batch, frames.Points, int, float, concurrent.futures.Future[int]]]
        self.in_flight = asyncio.Queue(BATCHES_IN_FLIGHT)
        self.bytes = 0
        self.arrivals: deque[float] = deque()  # of the batches taken in and not committed, oldest first
        self.welcomed = False
        self.hinted = 0.0
        self.room = asyncio.Event()
        self.taking = asyncio.Lock()  # held from a batch's events to its points
        self.wake = asyncio.Event()
        self.sent_seq = 0
        self.reminded = False  # of the settings that its checkpoint may be too old for
        self.node_seen_at = 0.0
        self.latest_time = 0.0  # of the points so far, by the sender's clock
        self.newest_then: int | None = None  # see admission.Admission
        self.open_lines = OpenLinesShown(self)

    @property
    def source(self) -> str:
        return self.identity.source

    async def serve(self, token: str) -> None:
        """The whole life of the connection; returns when it is over."""
        try:
            await self.open(token)
            try:
                await self.work()
            finally:
                self.open_lines.end()  # told while it is still known who watches
                self.hub.leave(self)
        except Refused as refused:
            await self.refuse(refused)
        except Gone:
            pass  # a lost connection changes nothing; silence does, elsewhere
        except DatabaseError as error:
            logger.exception("the database failed a link")
            await self.refuse(Refused("unavailable", f"the database is not available: {error}"[:500]))
        finally:
            self.finished.set()

    async def open(self, token: str) -> None:
        # The first frame is on its way: a refusal before it came would close the connection under its sender,
        # who then may find it closed before reading why.
        try:
            # Not `wait_for`, here and elsewhere: before Python 3.12 it may swallow a cancellation.
            async with asyncio.timeout(HELLO_SECONDS):
                raw = await self.read_frame()
        except TimeoutError:
            raise frames.bad(f"no hello within {HELLO_SECONDS} s") from None
        found = await self.hub.threads.run(admission.find_token, token)
        self.hello = frames.check_hello(frames.decode(raw))
        self.identity = admission.identify(found, self.hello)
        await self.hub.claim(self)
        try:
            entered = await self.hub.threads.run(admission.enter, self.identity, self.hello)
            self.last_taken = self.last_acked = entered.last_seq
            self.newest_then = entered.newest_then
            self.sent_seq = self.hello.applied_seq
            if self.identity.run is not None:
                figures = RunFigures(
                    self.identity.run,
                    self.source.removeprefix("run:"),
                    entered.experiment or 0,
                    entered.summary,
                    entered.last_step,
                    entered.branch,
                    entered.lows,
                    entered.highs,
                )
                self.keys.update(self.hub.figures.begin(figures).summary)
            await self.send(Welcome(entered.last_seq, entered.branch, time.time(), list(SERVER_KNOWS)))
            self.welcomed = True
            await self.hint()
        except BaseException:
            self.hub.leave(self)
            raise

    async def work(self) -> None:
        reading = asyncio.create_task(self.read_batches())
        acknowledging = asyncio.create_task(self.acknowledge())
        tasks = [reading, acknowledging]
        if self.hello.role == "process":
            self.wake.set()
            tasks.append(asyncio.create_task(self.deliver()))
        try:
            ends: set[asyncio.Future[Any]] = {*tasks, self.verdict}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            # A batch whose events are applied is stored whole: the attempt after this one may go on from a checkpoint
            # that it told of, and nobody would send its points again.
            whole = asyncio.create_task(self.taking.acquire())
            await asyncio.wait(
                {whole, acknowledging}, timeout=DRAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            whole.cancel()
            reading.cancel()
            # What was taken in is good, whatever came after it: see it committed and told.
            drained = asyncio.create_task(self.in_flight.join())
            await asyncio.wait(
                {drained, acknowledging}, timeout=DRAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            drained.cancel()
            for task in (acknowledging, reading, *tasks[2:]):
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error
            if self.verdict.done():
                raise self.verdict.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def read_frame(self) -> bytes | None:
        message = await self.receive_message()
        if message["type"] == "websocket.disconnect":
            code = BROKEN_FRAMES.get(message.get("code", 0))
            if code is not None:
                metrics.REFUSALS.labels(code).inc()
            raise Gone
        self.heard_at = time.monotonic()
        return message.get("bytes")

    async def read_batches(self) -> None:
        while True:
            raw = await self.read_frame()
            async with self.taking:
                await self.take(raw)

    async def take(self, raw: bytes | None) -> None:
        arrived = time.monotonic()
        batch = frames.decode(raw)
        if isinstance(batch, OpenLines):
            if self.identity.run is not None:
                self.open_lines.take(batch)
            return
        points = frames.check_batch(batch, self.keys)
        assert isinstance(batch, Batch)
        if self.newest_then is not None:
            batch, points = self.of_then(batch, points, self.newest_then)
        if batch.seq <= self.last_taken:
            metrics.REPEATS.inc()
            if batch.seq <= self.last_acked:
                await self.tell(Ack(self.last_acked))
            return
        if batch.seq != self.last_taken + 1:
            raise Refused(
                "gap", f"batch {batch.seq} came after {self.last_taken}; send from {self.last_taken + 1}"
            )
        self.arrivals.append(arrived)
        if batch.events:
            await self.apply_events(batch.seq, batch.events)
        await self.look_at_clock(points)
        await self.sign_of_life()
        size = len(raw or b"")
        future = await self.submit(batch, points.count)
        self.last_taken = batch.seq
        self.bytes += size
        await self.in_flight.put((batch, points, size, arrived, future))
        while self.bytes > BYTES_IN_FLIGHT:
            self.room.clear()
            await self.room.wait()

    def of_then(self, batch: Batch, points: frames.Points, newest: int) -> tuple[Batch, frames.Points]:
        """What counts of a batch that an earlier attempt left behind: lines, and points of branches known then.

        What it tells of itself says nothing of the run any more, and the number of a branch that nobody had heard of is
        another's by now.
        """
        if batch.branch <= newest:
            return msgspec.structs.replace(batch, events=[]), points
        kept = Batch(batch.seq, batch.branch, lines=batch.lines)
        return kept, frames.check_batch(kept, self.keys)

    async def submit(self, batch: Batch, points: int) -> "concurrent.futures.Future[int]":
        """Hand the batch to the writer; a large one is packed in a thread, so that others are served."""
        writer = series.writer()
        try:
            if points < LARGE_BATCH_POINTS:
                return writer.submit(self.source, self.hello.session, batch)
            return await asyncio.to_thread(writer.submit, self.source, self.hello.session, batch)
        except (RuntimeError, ValueError) as error:
            raise not_stored(batch.seq, error) from error

    async def apply_events(self, seq: int, found: list[Event]) -> None:
        if self.identity.node is not None:
            await self.hub.threads.run(describe_node, self.identity.node, found)
            return
        sender = events.Sender(self.hello.session, self.hello.role, self.hello.rank, self.hello.attempt)
        try:
            await self.hub.threads.run(events.apply, self.identity.run, sender, seq, found)
        except Run.DoesNotExist:
            raise Refused("wrong_run", "the run has been deleted", final=True) from None

    async def sign_of_life(self) -> None:
        if self.identity.node is not None and time.monotonic() - self.node_seen_at > NODE_SEEN_SECONDS:
            self.node_seen_at = time.monotonic()
            await self.hub.threads.run(node_seen, self.identity.node)

    async def look_at_clock(self, points: frames.Points) -> None:
        """A clock that ran backwards is told in the run's history; its times are kept as they came."""
        if points.latest is None:
            return
        back = self.latest_time - points.latest
        if back > CLOCK_BACK_SECONDS:
            metrics.CLOCKS_BACK.inc()
            if self.identity.run is not None:
                await self.hub.threads.run(
                    admission.note_clock_back, self.identity.run, self.hello.session, back
                )
        if back < 0 or back > CLOCK_BACK_SECONDS:
            self.latest_time = points.latest

    async def acknowledge(self) -> None:
        while True:
            batch, points, size, arrived, future = await self.in_flight.get()
            try:
                try:
                    await asyncio.wrap_future(future)
                except series.GapError as error:
                    raise Refused("gap", f"{error}") from error
                except (DatabaseError, OSError, RuntimeError, ValueError) as error:
                    logger.exception("batch %d of %s was not stored", batch.seq, self.source)
                    raise not_stored(batch.seq, error) from error
                self.last_acked = batch.seq
                self.committed(batch, points, time.monotonic() - arrived)
                self.open_lines.look()
                if any(event.kind == EventKind.FINISH for event in batch.events):
                    # Who has been told that all is stored finds the last figures in the run's row.
                    await self.hub.flush_figures()
                await self.tell(Ack(batch.seq))
            finally:
                self.arrivals.popleft()
                self.in_flight.task_done()
            self.bytes -= size
            self.room.set()

    def committed(self, batch: Batch, points: frames.Points, seconds: float) -> None:
        metrics.BATCHES.inc()
        metrics.POINTS.inc(points.count)
        metrics.LINES.inc(points.lines)
        metrics.COMMIT_SECONDS.observe(seconds)
        self.hub.pressure.note(seconds)
        if self.identity.run is not None and points.count:
            self.hub.figures.add(self.identity.run, batch.branch, points)
        if self.source not in self.hub.watched:
            return
        channel = LIVE_CHANNEL + self.source
        if points.count:
            self.hub.outbox.put(channel, live_frames.points(batch.branch, frames.columns_of(batch)))
        if batch.lines:
            lines = [(line.time, line.stream, line.text) for line in batch.lines]
            self.hub.outbox.put(channel, live_frames.lines(lines))

    async def deliver(self) -> None:
        """Hand out the run's commands, in order, each once on this connection."""
        run = Run(pk=self.identity.run)
        first = True
        while True:
            await self.wake.wait()
            self.wake.clear()
            knows = self.hello.process.get("knows")
            orders = await self.hub.threads.run(
                commands.orders_after, run, self.sent_seq, knows if isinstance(knows, list) else [], first
            )
            first = False
            self.sent_seq = max([self.sent_seq, *(order.seq for order in orders)])
            if self.hello.resumed and not self.reminded:
                self.reminded = True
                settings = await self.hub.threads.run(commands.settings_after, run, self.hello.applied_seq)
                orders = sorted(settings + orders, key=lambda order: order.seq)
            if orders:
                metrics.ORDERS.inc(len(orders))
                await self.tell(Orders(orders))

    async def hint(self) -> None:
        """Tell how often to flush, where that is not what was told last."""
        wanted = WATCHED_FLUSH_SECONDS if self.source in self.hub.watched else IDLE_FLUSH_SECONDS
        seconds = max(wanted, self.hub.pressure.flush_seconds)
        if self.welcomed and seconds != self.hinted:
            self.hinted = seconds
            await self.tell(Hint(seconds))

    @property
    def waiting_seconds(self) -> float:
        """How long its oldest batch waits to be committed."""
        return time.monotonic() - self.arrivals[0] if self.arrivals else 0.0

    def end(self, refused: Refused) -> None:
        """Ask the connection to end, from outside."""
        if not self.verdict.done():
            self.verdict.set_result(refused)

    async def send(self, frame: Any) -> None:
        try:
            await self.send_message({"type": "websocket.send", "bytes": encode(frame)})
        except (OSError, RuntimeError) as error:
            # Servers raise OSError for a peer that has gone, RuntimeError once a close was sent.
            raise Gone from error

    async def tell(self, frame: Any) -> None:
        """Send, unless the other end has gone: then the reader ends the connection."""
        with suppress(Gone):
            await self.send(frame)

    async def refuse(self, refused: Refused) -> None:
        metrics.REFUSALS.labels(refused.code).inc()
        with suppress(Gone, OSError, RuntimeError):
            await self.send(refused.frame)
            # A close frame has room for 123 bytes of reason.
            reason = refused.message.encode()[:120].decode(errors="ignore")
            await self.send_message({"type": "websocket.close", "code": refused.close_code, "reason": reason})


def not_stored(seq: int, error: Exception) -> Refused:
    return Refused("unavailable", f"batch {seq} could not be stored: {error}"[:500])


def describe_node(name: str, found: list[Event]) -> None:
    from monitoring.nodes import BadInventory, NameTaken, register
    from monitoring.plain import NotPlain, plain
    from training.jobs import passing_over

    for event in found:
        if event.kind != EventKind.DEVICES:
            continue
        try:
            data = plain(event.data, "devices")
            system, devices = data.get("system") or {}, data.get("devices") or []
            if not isinstance(system, dict) or not all(isinstance(device, dict) for device in devices):
                raise BadInventory("system is no map or devices no list of maps")
            register(name, system, devices)
        except (BadInventory, NotPlain) as error:
            metrics.BAD_EVENTS.labels(event.kind).inc()
            logger.warning("the description of node %s was not used: %s", name, error)
            if not isinstance(error, NameTaken):
                passing_over.not_believed(name, str(error))


def node_seen(name: str) -> None:
    from monitoring.nodes import seen

    seen(name)
