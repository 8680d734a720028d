"""What a Hello does to a run: when it is running again, and which process may speak for a job."""

import asyncio
import time
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring.models import Node
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Event, LogLine
from tests.link.peer import column, hello, linked
from tests.support.domain import a_run, a_run_token
from tests.support.wait import db, until_async
from training import events, states
from training.api.clocks import TELL_OF_CLOCKS, clock_of
from training.link.admission import Identity, enter
from training.link.connection import Connection
from training.link.hub import survey
from training.link.refusal import Refused
from training.models import Attempt, Job, Run, RunEvent

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__")]


@pytest.fixture(autouse=True)
def no_broker(monkeypatch):
    monkeypatch.setattr("monitoring.live.publish.send", lambda channel, message: None)


def come(run, **fields):
    enter(Identity(0, run.source, run=run.pk), hello(run.source, **fields))
    return Run.objects.get(pk=run.pk).state


def a_job(run, state="active", attempts=1, **last):
    job = Job.objects.create(run=run, argv=["python"], state=state)
    node = Node.objects.get_or_create(name="n")[0]
    for number in range(1, attempts + 1):
        fields = last if number == attempts else {"ended_at": timezone.now(), "outcome": "lost"}
        Attempt.objects.create(
            job=job,
            number=number,
            node=node,
            lease_expires_at=timezone.now() + timedelta(minutes=1),
            **fields,
        )
    return job


@pytest.mark.parametrize("state", ["queued", "starting", "lost", "finished", "failed", "stopped", "paused"])
def test_a_new_process_makes_its_run_running(state):
    run = a_run(state=state)
    assert come(run) == "running"
    moved = run.events.get(kind="state")
    assert (moved.old, moved.new) == (state, "running")


@pytest.mark.parametrize("begun_again", [1, 2])
def test_a_run_begun_again_on_a_right_clock_is_held_against_that_one(begun_again):
    """Without a checkpoint no branch tells that another process goes on; its ranks come, and come again."""
    run = a_run(state="running")
    day = 86_400
    come(run, clock=time.time() + day)
    come(run, clock=time.time() + day, rank=1, world_size=2)
    before = timezone.now()
    run.refresh_from_db()
    states.move(run, "lost", "its node is gone")
    for _ in range(begun_again):
        process = uuid.uuid4().hex
        for _ in range(2):
            come(run, clock=time.time(), session=process)
        come(run, clock=time.time(), rank=1, world_size=2)
    clock = clock_of(run.events.filter(TELL_OF_CLOCKS))
    assert clock(before) == pytest.approx(day, abs=60)
    assert clock(timezone.now()) == 0
    right = run.events.filter(reason="the clock of the process that goes on is right")
    assert right.count() == 1, "it is noted where the clock changed, and once"


def test_a_run_that_is_stopping_stays_so():
    assert come(a_run(state="stopping")) == "stopping"


def test_a_paused_process_that_reconnects_is_still_paused():
    session = uuid.uuid4().hex
    run = a_run(state="paused", process={"session": session})
    assert come(run, session=session) == "paused"


@pytest.mark.parametrize("fields", [{"role": "supervisor"}, {"rank": 1, "world_size": 2}])
def test_only_rank_zero_of_the_process_moves_the_run(fields):
    assert come(a_run(state="queued"), **fields) == "queued"


def test_a_session_that_said_its_last_word_hands_in_the_rest_without_reviving_the_run():
    run = a_run(state="running")
    session = uuid.uuid4().hex
    events.apply(run.pk, events.Sender(session), 5, [Event("finish", 0.0, None, {"state": "finished"})])
    assert come(run, session=session) == "finished"
    assert come(run) == "running"  # another process of the same run: it is resumed


@pytest.mark.parametrize(
    ("job_state", "attempts", "last", "told", "refused"),
    [
        ("active", 1, {}, 1, False),
        ("active", 2, {}, 2, False),
        ("active", 2, {}, 1, True),
        ("active", 1, {}, 0, True),
        ("active", 1, {}, 7, True),
        ("queued", 0, {}, 1, True),
        ("queued", 1, {"ended_at": True, "outcome": "lost"}, 1, True),
        ("failed", 1, {"ended_at": True, "outcome": "lost"}, 1, False),
        ("done", 1, {"ended_at": True, "outcome": "finished"}, 0, False),
    ],
)
def test_a_process_of_another_attempt_is_refused_for_good(job_state, attempts, last, told, refused):
    run = a_run(state="starting")
    a_job(run, job_state, attempts, **last | ({"ended_at": timezone.now()} if last else {}))
    if refused:
        with pytest.raises(Refused) as refusal:
            come(run, attempt=told)
        assert (refusal.value.code, refusal.value.final) == ("stale_attempt", True)
        run.refresh_from_db()
        assert run.state == "starting"
    else:
        assert come(run, attempt=told) == "running"


def test_what_an_earlier_attempt_printed_may_still_come():
    run = a_run(state="failed")
    a_job(run, "failed", attempts=2, ended_at=timezone.now(), outcome="failed")
    assert come(run, attempt=1, role="supervisor") == "failed"
    with pytest.raises(Refused):
        come(run, attempt=3, role="supervisor")


def test_late_data_of_an_attempt_that_ended_does_not_revive_its_run():
    run = a_run(state="failed")
    a_job(run, "failed", ended_at=timezone.now(), outcome="failed")
    assert come(run, attempt=1) == "failed"


def test_a_lost_attempt_that_is_heard_again_revives_its_run():
    run = a_run(state="lost")
    a_job(run, "failed", ended_at=timezone.now(), outcome="lost")
    assert come(run, attempt=1) == "running"


@pytest.mark.processes
@pytest.mark.django_db(transaction=True, databases="__all__")
async def test_an_open_link_ends_when_another_attempt_takes_over(live_site):
    def make():
        run = a_run(state="starting")
        return run, a_run_token(run), a_job(run)

    run, token, job = await db(make)
    async with linked(live_site, token, hello(run.source, attempt=1)) as peer:
        node = await db(Node.objects.get)
        await db(Attempt.objects.create, job=job, number=2, node=node, lease_expires_at=timezone.now())
        refusal = await peer.refusal()
    assert (refusal.code, refusal.final) == ("stale_attempt", True)
    assert "attempt 2 is the current one" in refusal.message


@pytest.mark.processes
@pytest.mark.django_db(transaction=True, databases="__all__")
async def test_a_batch_whose_events_are_applied_is_stored_whole_though_its_attempt_is_given_up_just_then(
    live_site, monkeypatch
):
    """The next attempt went on from a checkpoint that it told of, and the steps up to there were never stored."""
    apply = Connection.apply_events

    async def given_up_meanwhile(self, seq, found):
        await apply(self, seq, found)
        self.end(Refused("stale_attempt", "another attempt goes on", final=True))
        for _ in range(50):  # turns of the loop, in which the connection ends
            await asyncio.sleep(0)

    monkeypatch.setattr(Connection, "apply_events", given_up_meanwhile)
    run, token = await db(lambda: ((run := a_run(state="running")), a_run_token(run)))
    async with linked(live_site, token, hello(run.source)) as peer:
        note = Event("note", 0.0, None, {"message": "saved"})
        await peer.send(Batch(1, columns=[column("loss", (1, 0.5))], events=[note]))
        assert (await peer.refusal()).code == "stale_attempt"
    assert await db(lambda: run.events.filter(kind="note").exists())
    assert [info.points for info in await db(series.keys, run.source) if info.key == "loss"] == [1]


@pytest.mark.processes
@pytest.mark.django_db(transaction=True, databases="__all__")
async def test_the_supervisors_of_all_parts_of_a_gang_are_there_at_once(live_site):
    def make():
        run = a_run(state="running")
        a_job(run)
        return run, a_run_token(run)

    run, token = await db(make)
    first, second = (
        linked(live_site, token, hello(run.source, attempt=1, role="supervisor")) for _ in range(2)
    )
    async with first as one, second as other:
        for peer in (one, other, one):
            await peer.batch(lines=[LogLine(time.time(), "stdout", "of this part")])


@pytest.mark.processes
@pytest.mark.django_db(transaction=True, databases="__all__")
async def test_an_open_link_is_a_sign_of_life(live_site):
    def make():
        run = a_run(state="queued")
        return run, a_run_token(run)

    run, token = await db(make)
    old = timezone.now() - timedelta(minutes=5)
    async with linked(live_site, token, hello(run.source)):
        await db(Run.objects.update, last_seen_at=old)
        await until_async(lambda: Run.objects.get().last_seen_at > old)
        assert states.RunState((await db(Run.objects.get)).state) == "running"


def test_a_lost_run_whose_process_stays_connected_runs_again():
    heard, said_farewell, away = (
        a_run(state="lost", process={"session": name}) for name in ("a" * 32, "b" * 32, "c" * 32)
    )
    RunEvent.objects.create(run=said_farewell, kind="finish", new="stopped", data={"session": "b" * 32})
    survey({heard.pk, said_farewell.pk, away.pk}, {heard.pk, said_farewell.pk}, set())
    for run, state in ((heard, "running"), (said_farewell, "lost"), (away, "lost")):
        run.refresh_from_db()
        assert run.state == state
