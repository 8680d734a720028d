"""Whatever breaks, and whenever: each batch is stored once, each command applied once and in order."""

import asyncio
import time
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitoring.storage import series
from scaleweb_sdk.protocol import Ack, Batch, Event, Orders, Welcome
from tests.link.peer import column, hello, linked
from tests.support.domain import a_run, a_run_token
from tests.support.wait import db
from training.commands import issue
from training.models import Command, RunEvent

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, databases="__all__")]

# log: a batch of one point. hang up: drop the connection, acknowledged or not. resend: an old batch again.
ACTIONS = [
    "log",
    "log",
    "log",
    "note",
    "order",
    "order",
    "read",
    "hang up",
    "resend",
    "broker down",
    "broker up",
]


class Process:
    """A training process with a spool, as simple as one can be."""

    def __init__(self, run, site, token):
        self.run, self.site, self.token = run, site, token
        self.session = uuid.uuid4().hex
        self.spool: list[Batch] = []
        self.applied: list[int] = []
        self.outcomes: list[Event] = []
        self.link = self.peer = None

    async def connect(self):
        applied = self.applied[-1] if self.applied else 0
        first = hello(self.run.source, session=self.session, applied_seq=applied)
        self.link = linked(self.site, self.token, first)
        self.peer = await self.link.__aenter__()
        for batch in self.spool[self.peer.welcome.last_seq :]:
            await self.peer.send(batch)

    async def hang_up(self):
        if self.link is not None:
            self.peer.socket.transport.abort()  # no closing handshake, nothing waited for
            await self.link.__aexit__(None, None, None)
            self.link = None

    async def say(self, *, step=None, note=None):
        batch = Batch(
            len(self.spool) + 1, columns=[column("loss", (step, float(step)))] if step is not None else []
        )
        batch.events = [*self.outcomes, *([Event("note", 0.0, None, {"message": note})] if note else [])]
        self.outcomes = []
        self.spool.append(batch)
        if self.link is not None:
            await self.peer.send(batch)

    async def read(self, wait: float = 0.05):
        """Take what has come; apply orders as at a step boundary."""
        try:
            async with asyncio.timeout(wait):
                while self.link is not None:
                    frame = await self.peer.receive()
                    if isinstance(frame, Orders):
                        self.apply(frame)
        except TimeoutError:
            return

    def apply(self, frame: Orders):
        for order in frame.orders:
            if not self.applied or order.seq > self.applied[-1]:
                self.applied.append(order.seq)
                self.outcomes.append(Event("command", time.time(), 1, {"seq": order.seq, "ok": True}))


async def live_through(site, broker, run, token, actions):
    process = Process(run, site, token)
    step = issued = 0
    notes = []
    for action in actions:
        if process.link is None:
            await process.connect()
        match action:
            case "log":
                await process.say(step=step)
                step += 1
            case "note":
                notes.append(f"note {len(notes)}")
                await process.say(note=notes[-1])
            case "order":
                await db(issue, run, "checkpoint", asked_by="ada")
                issued += 1
            case "read":
                await process.read()
            case "hang up":
                await process.hang_up()
            case "resend" if process.peer.acked:
                await process.peer.send(process.spool[process.peer.acked - 1])
            case "broker down":
                broker.kill()
            case "broker up" if broker.server is None:
                broker.start()
    await process.hang_up()
    await process.connect()
    async with asyncio.timeout(60):
        while len(process.applied) < issued:
            await process.read()
        await process.say(step=step)
        while process.peer.acked < len(process.spool):
            await process.peer.receive()
    await process.hang_up()

    def check():
        points = sorted(int(s) for found in series.raw(run.source, ["loss"]) for s in found.steps)
        assert points == list(range(step + 1))
        assert process.applied == list(range(1, issued + 1))
        assert list(Command.objects.filter(run=run).values_list("state", flat=True)) == ["applied"] * issued
        told = RunEvent.objects.filter(run=run, kind="note").order_by("id")
        assert list(told.values_list("reason", flat=True)) == notes

    await db(check)


def test_random_faults_lose_and_double_nothing(live_site, broker):
    @settings(
        max_examples=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(actions=st.lists(st.sampled_from(ACTIONS), min_size=5, max_size=30))
    def one_life(actions):
        run = a_run()
        asyncio.run(live_through(live_site, broker, run, a_run_token(run), actions))

    one_life()


async def test_a_server_that_stops_in_the_middle_loses_nothing(live_site, broker):
    def make():
        run = a_run()
        return run, a_run_token(run)

    run, token = await db(make)
    process = Process(run, live_site, token)
    await process.connect()
    for step in range(50):
        await process.say(step=step)
    await db(live_site.stop)
    await process.hang_up()
    await db(live_site.start)
    await process.connect()
    assert isinstance(process.peer.welcome, Welcome)
    await process.say(step=50)
    while process.peer.acked < 51:
        await process.peer.expect(Ack)
    await process.hang_up()
    points = await db(
        lambda: sorted(int(s) for found in series.raw(run.source, ["loss"]) for s in found.steps)
    )
    assert points == list(range(51))
