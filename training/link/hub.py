"""What all links of a web process share: who is connected, who is watched, and what wakes them."""

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from django.db import Error as DatabaseError
from django.db.models import Max, Q
from django.utils import timezone
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from monitoring.live.broker import Outbox, background, closed, connect, listen
from monitoring.live.channels import WAKE_CHANNEL, WATCH_CHANNEL, WATCH_KEY
from scaleweb_sdk.protocol import Hello
from training import metrics, states
from training.commands import expire_due
from training.models import ApiToken, Attempt, Command, CommandState, Run, RunEvent
from training.states import RunState

from .connection import Connection
from .figures import Figures, write
from .pressure import Pressure
from .refusal import Refused
from .threads import OrmThreads

logger = logging.getLogger(__name__)
POLL_SECONDS = 2.0
FIGURES_SECONDS = 1.0
HEARD_SECONDS = 10.0
TAKEOVER_SECONDS = 10.0


class Watch(msgspec.Struct):
    topics: list[str]


Claim = tuple[str, str, int | str]  # source, role, rank or session
decode_watch = msgspec.json.Decoder(Watch).decode


@dataclass(frozen=True)
class Survey:
    """What the database says of the connected runs and tokens."""

    runs: set[int]
    waiting: set[int]  # runs with commands that nobody was handed
    attempts: dict[int, int]  # run -> newest attempt
    tokens: set[int]


class LinkHub:
    """Used from the event loop of its web process alone."""

    def __init__(self) -> None:
        self.connections: dict[str, set[Connection]] = {}
        self.claims: dict[Claim, Connection] = {}
        self.watched: set[str] = set()
        self.threads = OrmThreads()
        self.figures = Figures()
        self.pressure = Pressure()
        self.newcomers: set[str] = set()  # sources of which it is not known yet who watches
        self.arrived = asyncio.Event()
        self.outbox = Outbox()
        self.broker: Redis | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self.hinting: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        if self.tasks:
            return
        self.outbox = Outbox()
        # Kept open: a connection a newcomer was a seventh of the loop's time while short runs came and went. One that
        # the broker's end left behind is noticed at the first try, and made anew for the second.
        self.broker = connect(socket_timeout=2, retry=Retry(NoBackoff(), 1))
        self.threads.start()
        self.tasks = [
            background(listen([WAKE_CHANNEL + "*", WATCH_CHANNEL], self.heard, self.caught_up), "link wakes"),
            background(self.outbox.run(), "link outbox"),
            background(self.poll(), "link poll"),
            background(self.keep_figures(), "link figures"),
            background(self.look_after_newcomers(), "link newcomers"),
        ]

    async def stop(self) -> None:
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        broker, self.broker = self.broker, None
        if broker is not None:
            await closed(broker)
        await self.flush_figures()
        await self.threads.stop()

    async def claim(self, connection: Connection) -> None:
        """Take the place of a process, supervisor or agent. Raises Refused: busy.

        The same process incarnation replaces its older connection; another has to wait until the older
        one is gone or was not heard of for 10 s.
        """
        place = place_of(connection)
        while (older := self.claims.get(place)) is not None:
            silence = time.monotonic() - older.heard_at
            same = older.hello.session == connection.hello.session
            if older.hello.attempt > connection.hello.attempt > 0:
                raise stale(connection.hello, older.hello.attempt)
            if not same and silence < HEARD_SECONDS:
                pid = older.hello.process.get("pid", "?")
                raise Refused(
                    "busy",
                    f"process {pid} is connected for {connection.source} rank {connection.hello.rank} and was heard "
                    f"{silence:.1f} s ago; two processes cannot share a run token",
                )
            older.end(Refused("busy", "another connection took this one's place"))
            try:
                # Its batches in flight must be counted before the newcomer is told where to go on.
                async with asyncio.timeout(TAKEOVER_SECONDS):
                    await older.finished.wait()
            except TimeoutError:
                self.leave(older)
        self.claims[place] = connection
        self.connections.setdefault(connection.source, set()).add(connection)
        metrics.CONNECTIONS.labels(connection.hello.role).inc()
        # Not waited for: 500 that come at once are one question to the broker, and none waits for a dead one.
        self.newcomers.add(connection.source)
        self.arrived.set()

    def leave(self, connection: Connection) -> None:
        there = self.connections.get(connection.source)
        if there is None or connection not in there:
            return
        there.discard(connection)
        metrics.CONNECTIONS.labels(connection.hello.role).dec()
        place = place_of(connection)
        if self.claims.get(place) is connection:
            del self.claims[place]
        if not there:
            del self.connections[connection.source]
            self.watched.discard(connection.source)

    def heard(self, channel: str, body: bytes) -> None:
        if channel.startswith(WAKE_CHANNEL):
            self.wake("run:" + channel[len(WAKE_CHANNEL) :])
        else:
            self.note_watched(set(decode_watch(body).topics), set())

    def wake(self, source: str) -> None:
        for connection in self.connections.get(source, ()):
            connection.wake.set()

    async def caught_up(self) -> None:
        # Wake-ups may have been missed while the broker was away.
        for source in self.connections:
            self.wake(source)

    def note_watched(self, now: set[str], no_longer: set[str]) -> None:
        now = {source for source in now if source in self.connections} - self.watched
        no_longer = no_longer & self.watched
        self.watched = (self.watched | now) - no_longer
        self.hint(now | no_longer)

    def hint(self, sources: Iterable[str]) -> None:
        for source in sources:
            for connection in self.connections.get(source, ()):
                task = asyncio.create_task(connection.hint())
                self.hinting.add(task)
                task.add_done_callback(self.hinting.discard)

    async def look_after_newcomers(self) -> None:
        while True:
            await self.arrived.wait()
            self.arrived.clear()
            newcomers, self.newcomers = self.newcomers, set()
            await self.look_who_watches([source for source in newcomers if source in self.connections])

    async def look_who_watches(self, sources: list[str]) -> None:
        """Ask the broker which of these have viewers; without a broker nothing changes."""
        if not sources or self.broker is None:
            return
        try:
            found = await self.broker.mget([WATCH_KEY + source for source in sources])
        except (RedisError, OSError):
            return
        watched = {source for source, value in zip(sources, found, strict=True) if value}
        self.note_watched(watched, set(sources) - watched)

    async def poll(self) -> None:
        """What a lost wake-up would leave undone, for all runs at once."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.look_around()
            except DatabaseError as error:
                logger.warning("the table of commands could not be read: %s", error)

    async def look_around(self) -> None:
        present = [each for there in self.connections.values() for each in there]
        found = await self.threads.run(
            survey,
            {each.identity.run for each in present if each.identity.run is not None},
            {each.identity.run for each in present if alive(each)},
            {each.identity.token for each in present},
        )
        for connection in present:
            self.judge(connection, found)
            connection.open_lines.repeat()
        await self.look_who_watches(list(self.connections))

    def judge(self, connection: Connection, found: Survey) -> None:
        run = connection.identity.run
        if run is not None and run not in found.runs:
            connection.end(Refused("wrong_run", "the run has been deleted", final=True))
        elif connection.identity.token not in found.tokens:
            connection.end(Refused("bad_token", "the token has expired or was revoked", final=True))
        elif run is not None and is_stale(connection.hello, found.attempts.get(run, 0)):
            connection.end(stale(connection.hello, found.attempts[run]))
        elif run in found.waiting:
            connection.wake.set()

    async def keep_figures(self) -> None:
        while True:
            await asyncio.sleep(FIGURES_SECONDS)
            await self.flush_figures()
            waiting = [each.waiting_seconds for there in self.connections.values() for each in there]
            if self.pressure.look(max(waiting, default=0.0)):
                logger.info("senders are asked to flush every %.2f s at most", self.pressure.flush_seconds)
                self.hint(self.connections)

    async def flush_figures(self) -> None:
        changed = self.figures.take()
        if changed:
            try:
                await self.threads.run(write, changed)
            except (DatabaseError, asyncio.CancelledError) as error:
                logger.warning(
                    "the runs' latest figures were not written: %s", error or "the connection ended"
                )
                self.figures.changed.update(figures.run for figures in changed)
                if isinstance(error, asyncio.CancelledError):
                    raise
        connected = {each.identity.run for there in self.connections.values() for each in there}
        for run in self.figures.runs.keys() - connected - self.figures.changed:
            del self.figures.runs[run]


def stale(hello: Hello, newest: int) -> Refused:
    return Refused(
        "stale_attempt",
        f"attempt {hello.attempt} was given up; attempt {newest} is the current one",
        final=True,
    )


def is_stale(hello: Hello, newest: int) -> bool:
    """Whether it is the process of an earlier attempt. What a supervisor sends of one is history (admission.py)."""
    return hello.role == "process" and newest > hello.attempt > 0


def place_of(connection: Connection) -> Claim:
    """Who cannot be there twice. Supervisors can: each part of a gang has one, and so may the attempt before it."""
    hello = connection.hello
    return connection.source, hello.role, hello.session if hello.role == "supervisor" else hello.rank


def alive(connection: Connection) -> bool:
    """Whether this connection is a sign of life of its run.

    The websocket's own pings end one whose process is gone; a paused process that logs nothing is alive.
    A supervisor speaks for its run only where no process of the run does (a script without the SDK).
    """
    return connection.identity.run is not None and connection.hello.role == "process"


def survey(runs: set[int], living: set[int], tokens: set[int]) -> Survey:
    now = timezone.now()
    expire_due()
    Run.objects.filter(Q(pk__in=living) | Q(pk__in=runs, process={})).update(last_seen_at=now)
    revive_heard(living)
    waiting = Command.objects.filter(run__in=runs, state=CommandState.PENDING)
    newest = Attempt.objects.filter(job__run__in=runs).values_list("job__run").annotate(Max("number"))
    good = ApiToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), pk__in=tokens, revoked_at=None)
    return Survey(
        runs=set(Run.objects.filter(pk__in=runs).values_list("pk", flat=True)),
        waiting=set(waiting.values_list("run", flat=True).distinct()),
        attempts=dict(newest.order_by("job__run")),
        tokens=set(good.values_list("pk", flat=True)),
    )


def revive_heard(living: set[int]) -> None:
    """A run that was given up as lost, but whose process is connected all the while, runs again."""
    for run in Run.objects.filter(pk__in=living, state=RunState.LOST):
        said = RunEvent.objects.filter(run=run, kind="finish", data__session=run.process.get("session"))
        if not said.exists():
            states.move(run, RunState.RUNNING, "its process is heard after all", actor="the process")
