"""Whatever dies, and whenever: commands take effect in order, each once in the life that counts, and none stays open.

A training process here has the SDK's own desk behind a raw link: it applies orders at steps, takes checkpoints,
hangs up, and dies with all that was not acknowledged; its successor goes on from the last checkpoint, at its step.
Beside single orders there are groups (two settings at one boundary, all or none) and plans (a setting at a step
to come).
"""

import asyncio
import contextlib
import uuid

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scaleweb_sdk.orders import Desk
from scaleweb_sdk.protocol import ActionSpec, Batch, Orders
from scaleweb_sdk.tunables import Tunable, declare
from tests.link.peer import hello, linked
from tests.support.domain import a_run, a_run_token
from tests.support.wait import PATIENCE_SECONDS, db
from training.changes import change_together
from training.commands import issue
from training.link import hub as link_hub
from training.models import Command
from training.models import Tunable as DeclaredTunable

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, databases="__all__")]
FAULTS = [
    "hang up",
    "die, resume, connect",
    "die, connect, resume",  # as the SDK does: it reports for work before the checkpoint is read
    "restart web",
    "broker down",
    "broker up",
]
ORDERS = ["order"] * 3 + ["group", "plan", "hand"]
ACTIONS = ORDERS + ["step"] * 4 + ["checkpoint"] * 2 + FAULTS
BAD = 7  # `right` takes no multiples of it


SETTINGS = ("left", "right", "planned")


def refuse_bad(value):
    if value and value % BAD == 0:
        raise ValueError(f"{value} is a multiple of {BAD}")


class Script:
    """What the desk needs of a run."""

    def __init__(self):
        self.branch, self.tunables, self.link, self.current_step, self.rank = 0, {}, None, 0, 0
        self._events = []

    def note(self, message):
        pass

    def _report_tunable(self, tunable, changed_by):
        pass


class Training:
    def __init__(self, site, run, token):
        self.site, self.run, self.token = site, run, token
        self.saved: list[int] = []  # the commands whose effect the checkpoint holds
        self.saved_desk = (0, -1)  # its applied_seq and served_step
        self.saved_settings = dict.fromkeys(SETTINGS, 0)
        self.saved_step = 0
        self.lives: list[tuple[list[int], list[int]]] = []  # per process: what it began with, what it applied
        self.settled: set[int] = set()  # commands whose outcome the server has acknowledged
        self.step = 0
        self.link = self.peer = None
        self.begin()

    def begin(self):
        self.session = uuid.uuid4().hex
        self.script = Script()
        self.desk = Desk(self.script)
        self.desk.actions["mark"] = ActionSpec("mark"), self.mark
        self.script.tunables = {
            name: Tunable(declare(name, 0), refuse_bad if name == "right" else None) for name in SETTINGS
        }
        self.due: dict[int, int] = {}  # of plans: the step at which each has to be applied in this life
        self.spool: list[Batch] = []
        self.effect = list(self.saved)
        self.lives.append((list(self.saved), []))

    def mark(self):
        seq = self.desk.applied_seq
        assert seq not in self.settled, f"#{seq} was applied again after its outcome was acknowledged"
        self.effect.append(seq)
        self.lives[-1][1].append(seq)

    def checkpoint(self):
        self.saved = list(self.effect)
        self.saved_desk = self.desk.applied_seq, self.desk.served_step
        self.saved_settings = {name: tunable.value for name, tunable in self.script.tunables.items()}
        self.saved_step = self.step

    def resume(self):
        self.desk.applied_seq = self.saved_desk[0]
        self.desk.resumed(self.saved_desk[1])
        for name, value in self.saved_settings.items():
            self.script.tunables[name].order(value)
        self.step = self.saved_step

    async def connect(self):
        if self.link is not None:
            return
        first = hello(
            self.run.source, session=self.session, applied_seq=self.desk.applied_seq,
            process={"knows": ["groups", "agenda"]}, resumed=len(self.lives) > 1,
        )  # fmt: skip
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
                        self.note_due(frame.orders)
        except TimeoutError:
            pass
        self.note_settled()
        self.step += 1
        self.desk.serve(self.step)
        settings = self.script.tunables
        assert settings["left"].value == settings["right"].value, "half of a group was applied"
        outcomes, self.script._events = [event for _, event in self.script._events], []
        for event in outcomes:
            wanted = self.due.pop(event.data["seq"], None)
            assert wanted in (None, event.step) or "checkpoint says" in event.data["message"]
        if outcomes:
            self.spool.append(Batch(len(self.spool) + 1, events=outcomes))
            await self.peer.send(self.spool[-1])

    def note_due(self, orders):
        for order in orders:
            if order.at_step is not None and not order.again:
                self.due.setdefault(order.seq, max(order.at_step, self.step + 1))

    def note_settled(self):
        for batch in self.spool[: self.peer.acked]:
            self.settled.update(event.data["seq"] for event in batch.events)


def ask(run, action, number, step):
    """One of ORDERS, from a person."""
    if action == "order":
        issue(run, "action", tunable="mark", asked_by="ada")
    elif action == "group":
        change_together(run, {"left": number, "right": number}, asked_by="ada")
    elif action == "hand":
        issue(run, "set", tunable="planned", value=number, asked_by="ada")
    else:
        issue(run, "set", tunable="planned", value=number, asked_by="ada", at_step=step + 1 + number % 4)


async def live_through(site, broker, run, token, actions):
    training = Training(site, run, token)
    await training.connect()
    restarted = False
    for number, action in enumerate(actions, 1):
        match action:
            case "order" | "group" | "hand" | "plan":
                await db(ask, run, action, number, training.step)
            case "step":
                await training.make_step()
            case "checkpoint":
                training.checkpoint()
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

    def open_still():
        return Command.objects.filter(run=run, state__in=["pending", "sent"]).exists()

    def told():
        return list(Command.objects.filter(run=run).order_by("seq"))

    async with asyncio.timeout(2 * PATIENCE_SECONDS):
        while await db(open_still) or training.step <= max(
            [c.applied_step or 0 for c in await db(told) if c.at_step is not None], default=0
        ):
            await training.make_step()
    # A process that resumed from before a change gets it again, of which the table says nothing.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while wrong_settings(await db(told), settings_of(training)):
                await training.make_step()
    await training.hang_up()
    commands = await db(told)
    marks = [c.seq for c in commands if c.verb == "action"]
    first_times: list[int] = []
    for began_with, applied in training.lives:
        assert applied == sorted(set(applied)), "out of order, or twice in one life"
        assert not set(began_with) & set(applied), "applied again though the checkpoint holds it"
        first_times += [seq for seq in applied if seq not in first_times]
    assert first_times == marks
    if len(training.lives) == 1:
        assert training.effect == marks
    check_fates(commands, settings_of(training))


def settings_of(training):
    return {name: tunable.value for name, tunable in training.script.tunables.items()}


def wrong_settings(commands, settings):
    """{name: what it is and by which command's number it should be something else}."""
    wrong = {}
    for name, value in settings.items():
        applied = [c for c in commands if c.tunable == name and c.state == "applied" and c.applied_at]
        last = max(applied, key=lambda c: (c.applied_at, c.seq), default=None)
        if value != (0 if last is None else last.value):
            wrong[name] = (value, last and last.seq)
    return wrong


def check_fates(commands, settings):
    for command in commands:
        right = command.group and command.value % BAD == 0
        wanted = {"rejected"} if right else {"applied"}
        if command.at_step is not None:
            # A later hand ends a plan; which of the two was first at the process, the process says.
            later = any(
                c.seq > command.seq and c.tunable == "planned" and c.at_step is None for c in commands
            )
            wanted = {"applied", "superseded"} if later else wanted
        if command.verb == "set" and command.at_step is None and not command.group:
            wanted |= {"superseded"}  # by a newer one, before any process saw it
        assert command.state in wanted, f"#{command.seq} {command.message}"
    # Whatever happened in between, each setting is what the last change that took effect made it.
    assert wrong_settings(commands, settings) == {}


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
    # A plan that waits in a checkpoint; one that was applied after it; one that a hand ends while the process is away.
    @example(
        [
            "plan",
            "step",
            "checkpoint",
            "die, connect, resume",
            "step",
            "step",
            "step",
            "step",
            "checkpoint",
            "hang up",
        ]
    )
    @example(["checkpoint", "plan", "step", "step", "step", "step", "die, resume, connect", "step"])
    # The seventh's value is one that the second setting of the group refuses.
    @example(["plan", "group", "step", "hang up", "hand", "die, connect, resume", "group", "step", "group"])
    def one_life(actions):
        run = a_run(state="starting", actions=[{"name": "mark", "description": ""}])
        for name in SETTINGS:
            DeclaredTunable.objects.create(run=run, name=name, kind="int", value=0, initial=0)
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
    training.checkpoint()
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


@pytest.mark.parametrize("saved", ["before its step", "after its step"])
async def test_a_plan_whose_answer_died_with_its_process_is_applied_once_by_what_the_checkpoint_holds(
    live_site, saved
):
    def make():
        run = a_run(state="starting")
        DeclaredTunable.objects.create(run=run, name="planned", kind="int", value=0, initial=0)
        issue(run, "set", tunable="planned", value=5, asked_by="ada", at_step=3)
        return run, a_run_token(run), issue(run, "checkpoint", asked_by="ada")

    run, token, _ = await db(make)
    training = Training(live_site, run, token)
    await training.connect()
    training.desk.receive((await training.peer.expect(Orders)).orders)
    for training.step in (1, 2, 3):
        training.desk.serve(training.step)
        if training.step == (2 if saved == "before its step" else 3):
            training.checkpoint()
    assert training.script.tunables["planned"].value == 5
    await training.hang_up()  # and no answer was sent
    training.begin()
    training.resume()
    changes = []
    training.script.tunables["planned"].on_change = changes.append
    await training.connect()
    command = await db(Command.objects.get, run=run, verb="set")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (command := await db(Command.objects.get, pk=command.pk)).state != "applied":
            await training.make_step()
    await training.hang_up()
    assert changes == ([5] if saved == "before its step" else [])
    assert ("checkpoint says" in command.message) is (saved == "after its step")
    assert training.script.tunables["planned"].value == 5
