"""Whatever dies, and whenever: commands take effect in order, each once in the life that counts, and none stays open.

A training process here has the SDK's own desk behind a raw link: it applies orders at steps, takes checkpoints,
hangs up, and dies with all that was not acknowledged; its successor goes on from the last checkpoint.
"""

import asyncio
import uuid

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scaleweb_sdk.orders import Desk
from scaleweb_sdk.protocol import Batch, Orders
from tests.link.peer import hello, linked
from tests.support.domain import a_run, a_run_token
from tests.support.wait import PATIENCE_SECONDS, db
from training.commands import issue
from training.link import hub as link_hub
from training.models import Command

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, databases="__all__")]
FAULTS = [
    "hang up",
    "die, resume, connect",
    "die, connect, resume",  # as the SDK does: it reports for work before the checkpoint is read
    "restart web",
    "broker down",
    "broker up",
]
ACTIONS = ["order"] * 4 + ["step"] * 4 + ["checkpoint"] * 2 + FAULTS


class Script:
    """What the desk needs of a run."""

    def __init__(self):
        self.branch, self.tunables, self.link, self.current_step = 0, {}, None, 0
        self._events = []


class Training:
    def __init__(self, site, run, token):
        self.site, self.run, self.token = site, run, token
        self.saved: list[int] = []  # the commands whose effect the checkpoint holds
        self.lives: list[tuple[list[int], list[int]]] = []  # per process: what it began with, what it applied
        self.settled: set[int] = set()  # commands whose outcome the server has acknowledged
        self.step = 0
        self.link = self.peer = None
        self.begin()

    def begin(self):
        self.session = uuid.uuid4().hex
        self.script = Script()
        self.desk = Desk(self.script)
        self.desk.actions["mark"] = self.mark
        self.spool: list[Batch] = []
        self.effect = list(self.saved)
        self.lives.append((list(self.saved), []))

    def mark(self):
        seq = self.desk.applied_seq
        assert seq not in self.settled, f"#{seq} was applied again after its outcome was acknowledged"
        self.effect.append(seq)
        self.lives[-1][1].append(seq)

    def resume(self):
        self.desk.applied_seq = self.saved[-1] if self.saved else 0

    async def connect(self):
        if self.link is not None:
            return
        first = hello(self.run.source, session=self.session, applied_seq=self.desk.applied_seq)
        self.link = linked(self.site, self.token, first)
        self.peer = await self.link.__aenter__()
        for batch in self.spool[self.peer.welcome.last_seq :]:
            await self.peer.send(batch)

    async def hang_up(self):
        if self.link is not None:
            self.peer.socket.transport.abort()
            await self.link.__aexit__(None, None, None)
            self.link = None

    async def make_step(self, wait: float = 0.03):
        """Take what has come, apply it at a step boundary, answer."""
        await self.connect()
        try:
            async with asyncio.timeout(wait):
                while True:
                    frame = await self.peer.receive()
                    if isinstance(frame, Orders):
                        self.desk.receive(frame.orders)
        except TimeoutError:
            pass
        self.note_settled()
        self.step += 1
        self.desk.serve(self.step)
        outcomes, self.script._events = [event for _, event in self.script._events], []
        if outcomes:
            self.spool.append(Batch(len(self.spool) + 1, events=outcomes))
            await self.peer.send(self.spool[-1])

    def note_settled(self):
        for batch in self.spool[: self.peer.acked]:
            self.settled.update(event.data["seq"] for event in batch.events)


async def live_through(site, broker, run, token, actions):
    training = Training(site, run, token)
    await training.connect()
    issued, restarted = 0, False
    for action in actions:
        match action:
            case "order":
                await db(issue, run, "action", tunable="mark", asked_by="ada")
                issued += 1
            case "step":
                await training.make_step()
            case "checkpoint":
                training.saved = list(training.effect)
            case "hang up":
                await training.hang_up()
            case "die, resume, connect" | "die, connect, resume":
                await training.hang_up()
                training.begin()
                if action == "die, resume, connect":
                    training.resume()
                await training.connect()
                training.resume()
            case "restart web" if not restarted:  # the one that takes long
                restarted = True
                await db(site.stop)
                await training.hang_up()
                await db(site.start)
            case "broker down":
                broker.kill()
            case "broker up" if broker.server is None:
                broker.start()

    def all_settled():
        return not Command.objects.filter(run=run).exclude(state="applied").exists()

    async with asyncio.timeout(2 * PATIENCE_SECONDS):
        while not await db(all_settled):
            await training.make_step()
    await training.hang_up()
    first_times: list[int] = []
    for began_with, applied in training.lives:
        assert applied == sorted(set(applied)), "out of order, or twice in one life"
        assert not set(began_with) & set(applied), "applied again though the checkpoint holds it"
        first_times += [seq for seq in applied if seq not in first_times]
    assert first_times == list(range(1, issued + 1))
    if len(training.lives) == 1:
        assert training.effect == list(range(1, issued + 1))


@pytest.fixture
def quick_poll(monkeypatch):
    """Ask for it before the site: what comes without a wake-up need not be waited for so long."""
    monkeypatch.setattr(link_hub, "POLL_SECONDS", 0.2)


def test_random_faults_neither_lose_nor_double_nor_reorder_a_command(quick_poll, live_site, broker):
    @settings(
        max_examples=8,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        print_blob=True,  # a failure prints what runs it again
    )
    @given(actions=st.lists(st.sampled_from(ACTIONS), min_size=6, max_size=16))
    # Applied and in the checkpoint, but the answer died with the process: in both orders of coming back.
    @example(["order", "step", "order", "step", "hang up", "die, resume, connect", "order", "step"])
    @example(["order", "broker down", "step", "checkpoint", "die, connect, resume", "step", "broker up"])
    def one_life(actions):
        run = a_run(state="starting", actions=[{"name": "mark", "description": ""}])
        asyncio.run(live_through(live_site, broker, run, a_run_token(run), actions))

    one_life()


@pytest.mark.parametrize("order", ["die, resume, connect", "die, connect, resume"])
async def test_a_command_whose_answer_died_with_its_process_is_closed_by_the_successor(
    live_site, broker, order
):  # fmt: skip
    def make():
        run = a_run(state="starting", actions=[{"name": "mark", "description": ""}])
        return run, a_run_token(run), issue(run, "action", tunable="mark", asked_by="ada")

    run, token, command = await db(make)
    training = Training(live_site, run, token)
    await training.connect()
    frame = await training.peer.expect(Orders)
    training.desk.receive(frame.orders)
    training.desk.serve(1)  # applied; and then, before the answer is sent:
    training.saved = list(training.effect)
    await training.hang_up()
    training.begin()
    if order == "die, resume, connect":
        training.resume()
    await training.connect()
    training.resume()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await db(Command.objects.get, pk=command.pk)).state != "applied":
            await training.make_step()
    await training.hang_up()
    assert [applied for _, applied in training.lives] == [[1], []]
    assert "checkpoint says" in (await db(Command.objects.get, pk=command.pk)).message
