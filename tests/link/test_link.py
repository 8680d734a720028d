"""The server end of the link over a real socket, spoken to frame by frame."""

import asyncio
import math
import time
from contextlib import suppress
from datetime import timedelta

import msgspec
import pytest
from django.utils import timezone
from websockets.asyncio.client import connect

from monitoring.models import Node
from monitoring.storage import series
from scaleweb_sdk.protocol import (
    LINK_PATH,
    MAX_FRAME_BYTES,
    MAX_STEP,
    Ack,
    Batch,
    Column,
    Event,
    LogLine,
    Orders,
    PackedColumn,
    decode_down,
    encode,
)
from tests.link.peer import column, hello, linked
from tests.support.domain import a_run, a_run_token, a_user
from tests.support.wait import PATIENCE_SECONDS, db, until_async
from training import metrics
from training.commands import issue
from training.link import frames as link_frames
from training.link import hub as link_hub
from training.models import ApiToken, Run, RunEvent, TokenKind

pytestmark = [
    pytest.mark.both_databases,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


@pytest.fixture
def no_poll(monkeypatch):
    """Ask for it before the site: the poll that makes up for a lost wake-up does not come."""
    monkeypatch.setattr(link_hub, "POLL_SECONDS", 3600)


@pytest.fixture
def run(live_site):
    return a_run()


@pytest.fixture
def token(run):
    return a_run_token(run)


def fresh(run):
    return Run.objects.get(pk=run.pk)


def stored(source, key="loss"):
    """All (step, value) of a key, in step order, over all branches."""
    return sorted(
        (int(step), float(value))
        for found in series.raw(source, [key])
        for step, value in zip(found.steps, found.values, strict=True)
    )


async def test_a_batch_is_stored_then_acknowledged_and_the_run_tells_of_it(live_site, run, token):
    first = hello(run.source, process={"hostname": "h", "pid": 7}, clock=time.time())
    async with linked(live_site, token, first) as peer:
        assert (peer.welcome.last_seq, peer.welcome.branch) == (0, 0)
        assert first.clock <= peer.welcome.server_time <= time.time()
        await peer.batch(columns=[column("loss", (1, 0.5), (2, 0.25)), column("a/b 🙂 __c", (1, math.nan))])
        assert await db(stored, run.source) == [(1, 0.5), (2, 0.25)]
        found = await until_async(lambda: (r := fresh(run)).last_step is not None and r)
    assert found.state == "running"
    assert (found.last_step, found.summary) == (2, {"loss": 0.25, "a/b 🙂 __c": "NaN"})
    assert found.process["hostname"] == "h"
    assert [branch["index"] for branch in found.branches] == [0]
    assert not await db(RunEvent.objects.filter(kind="note").exists)
    assert (await db(ApiToken.objects.get)).last_used_at is not None


async def test_a_batch_sent_twice_is_stored_once_and_acknowledged_again(live_site, run, token):
    first = hello(run.source)
    repeats = metrics.REPEATS._value.get()
    async with linked(live_site, token, first) as peer:
        await peer.batch(columns=[column("loss", (1, 1.0))])
        await peer.send(Batch(1, columns=[column("loss", (1, 1.0))]))
        assert (await peer.expect(Ack)).seq == 1
        assert metrics.REPEATS._value.get() == repeats + 1
    async with linked(live_site, token, first) as peer:
        assert peer.welcome.last_seq == 1
        await peer.batch(columns=[column("loss", (2, 2.0))])
    assert await db(stored, run.source) == [(1, 1.0), (2, 2.0)]


async def test_batches_are_taken_in_while_others_commit_and_acknowledged_in_order(live_site, run, token):
    async with linked(live_site, token, hello(run.source)) as peer:
        for step in range(200):
            await peer.batch(wait=False, columns=[column("loss", (step, float(step)))])
        while peer.acked < 200:
            await peer.receive()
    assert await db(stored, run.source) == [(step, float(step)) for step in range(200)]


async def test_a_gap_is_refused_and_what_came_before_it_kept(live_site, run, token):
    async with linked(live_site, token, hello(run.source)) as peer:
        await peer.batch(wait=False, columns=[column("loss", (1, 1.0))])
        await peer.batch(wait=False, seq=3, columns=[column("loss", (3, 3.0))])
        refusal = await peer.refusal()
        assert (refusal.code, refusal.final, peer.acked) == ("gap", False, 1)
        assert "send from 2" in refusal.message
    assert await db(stored, run.source) == [(1, 1.0)]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"\xc1not msgpack", "cannot be decoded"),
        (b"\x91" * 5000, "cannot be decoded"),
        (encode({"type": "batch", "seq": "one"}), "cannot be decoded"),
        (encode({"type": "dance"}), "cannot be decoded"),
        (Batch(0), "numbered from 1"),
        (Batch(-5), "numbered from 1"),
        (Batch(1, branch=-1), "branch=-1"),
        (Batch(1, columns=[Column("loss", [1, 2], [1.0], [1.0])]), "2 steps, 1 times, 1 values"),
        (Batch(1, columns=[column("", (1, 1.0))]), "0 characters; expected 1 to 300"),
        (Batch(1, columns=[column("x" * 301, (1, 1.0))]), "301 characters"),
        (Batch(1, columns=[column("x\x00y", (1, 1.0))]), "control character"),
        (Batch(1, columns=[column("x\ny", (1, 1.0))]), "control character"),
        (Batch(1, columns=[column("loss", (-1, 1.0))]), "step -1; expected 0 to 2^53"),
        (Batch(1, columns=[column("loss", (MAX_STEP + 1, 1.0))]), "expected 0 to 2^53"),
        (Batch(1, columns=[column("loss", (1, 1.0), at=math.nan)]), "seconds since the epoch"),
        (Batch(1, columns=[column("loss", (1, 1.0), at=1e15)]), "seconds since the epoch"),
        (Batch(1, packed=[PackedColumn("loss", b"1234567", b"1234567", b"1234567")]), "8 a point"),
        (Batch(1, packed=[PackedColumn("loss", b"\xff" * 8, bytes(8), bytes(8))]), "step -1"),
        (Batch(1, packed=[PackedColumn("loss", bytes(16), bytes(8), bytes(8))]), "16 steps, 8 times"),
        (Batch(1, lines=[LogLine(math.nan, "stdout", "x")]), "log line"),
        (Batch(1, columns=[column(f"k{n}", (1, 1.0)) for n in range(20_001)]), "at most 20000"),
    ],
)
async def test_a_bad_frame_ends_the_link_in_words_and_stores_nothing_of_itself(
    live_site, run, token, frame, words
):
    good = column("loss", (7, 7.0))
    async with linked(live_site, token, hello(run.source)) as peer:
        if isinstance(frame, Batch) and frame.seq == 1:
            await peer.batch(wait=False, columns=[good])
            frame = msgspec.structs.replace(frame, seq=2, columns=[good, *frame.columns])
        await peer.send(frame)
        refusal = await peer.refusal()
        assert (refusal.code, refusal.final) == ("bad_frame", True)
        assert words in refusal.message
        assert len(refusal.message) < 500
        await peer.socket.wait_closed()
        assert peer.socket.close_code == 4400
        before = peer.acked
    assert await db(stored, run.source) == [(7, 7.0)] * before


async def test_a_frame_too_large_is_refused(live_site, run, token):
    async with linked(live_site, token, hello(run.source)) as peer:
        await peer.send(b"x" * (MAX_FRAME_BYTES + 1))
        assert (await peer.refusal()).code == "too_large"


async def test_refusals_are_counted(live_site, run, token):
    counter = metrics.REFUSALS.labels("bad_frame")
    before = counter._value.get()
    async with linked(live_site, token, hello(run.source)) as peer:
        await peer.send(b"rubbish")
        await peer.refusal()
    assert counter._value.get() == before + 1


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"protocol": 99}, "protocol", "speaks protocol 99"),
        ({"source": "run:another"}, "wrong_run", "speaks for run:"),
        ({"role": "agent"}, "wrong_run", "not as agent"),
        ({"role": "king"}, "bad_frame", "expected process, supervisor or agent"),
        ({"rank": 3, "world_size": 2}, "bad_frame", "rank=3 of world_size=2"),
        ({"session": "x"}, "bad_frame", "8 to 64"),
        ({"session": "x" * 20 + "\x00"}, "bad_frame", "8 to 64"),
        ({"applied_seq": -1}, "bad_frame", "0 or more"),
        ({"attempt": 2**40}, "bad_frame", "0 or more"),
        ({"process": {"argv": b"bytes"}}, "bad_frame", "process.argv is bytes"),
    ],
)
async def test_a_hello_that_cannot_be_is_refused_in_words(live_site, run, token, change, code, words):
    first = msgspec.structs.replace(hello(run.source), **change)
    async with linked(live_site, token, first, welcome=False) as peer:
        refusal = await peer.refusal()
    assert (refusal.code, refusal.final) == (code, True)
    assert words in refusal.message
    assert (await db(fresh, run)).state == "queued"


@pytest.mark.parametrize("kind", ["none", "rubbish", "user", "expired", "revoked", "other run"])
async def test_only_a_valid_token_of_this_run_opens_the_link(live_site, run, kind):
    def make():
        if kind == "user":
            return ApiToken.issue(TokenKind.USER, user=a_user())[1]
        if kind == "expired":
            return ApiToken.issue(TokenKind.RUN, run=run, expires_at=timezone.now() - timedelta(1))[1]
        if kind == "revoked":
            return ApiToken.issue(TokenKind.RUN, run=run, revoked_at=timezone.now())[1]
        if kind == "other run":
            return a_run_token(a_run(name="other"))
        return "" if kind == "none" else "sw_run_é"

    plain = await db(make)
    headers = {"Authorization": f"Bearer {plain}".encode("latin-1").decode("latin-1")} if plain else {}
    async with connect(
        live_site.ws + LINK_PATH, additional_headers=headers, open_timeout=PATIENCE_SECONDS
    ) as socket:
        await socket.send(encode(hello(run.source)))
        refusal = decode_down(await socket.recv())
        await socket.wait_closed()
        assert socket.close_code == (4403 if kind == "other run" else 4401)
    assert refusal.code == ("wrong_run" if kind == "other run" else "bad_token")
    assert refusal.final
    assert (await db(fresh, run)).state == "queued"


async def test_a_revoked_token_ends_the_open_link(live_site, run, token):
    async with linked(live_site, token, hello(run.source)) as peer:
        await db(ApiToken.objects.update, revoked_at=timezone.now())
        assert (await peer.refusal()).code == "bad_token"


async def test_a_deleted_run_ends_its_link(live_site, run, token):
    async with linked(live_site, token, hello(run.source)) as peer:
        await db(run.delete)
        assert (await peer.refusal()).code in {"wrong_run", "bad_token"}


async def test_a_first_frame_that_is_no_hello_is_refused(live_site, token):
    async with linked(live_site, token, encode(Batch(1)), welcome=False) as peer:
        assert "expected hello" in (await peer.refusal()).message


async def test_two_processes_cannot_share_a_token_but_one_may_reconnect(live_site, run, token, monkeypatch):
    monkeypatch.setattr(link_hub, "HEARD_SECONDS", 3600)  # however long this test is held up
    first = hello(run.source, process={"pid": 4711})
    async with linked(live_site, token, first) as peer:
        async with linked(live_site, token, hello(run.source), welcome=False) as second:
            refusal = await second.refusal()
            assert (refusal.code, refusal.final) == ("busy", False)
            assert "4711" in refusal.message
        await peer.batch(columns=[column("loss", (1, 1.0))])
        # Another rank is another process; the same incarnation takes its own place.
        async with linked(live_site, token, hello(run.source, rank=1, world_size=2)) as rank:
            await rank.batch(columns=[column("rank1", (1, 1.0))])
        async with linked(live_site, token, first) as again:
            assert again.welcome.last_seq == 1
            await again.batch(columns=[column("loss", (2, 2.0))])
            assert (await peer.refusal()).code == "busy"
    # The older one is gone: a new incarnation may come.
    async with linked(live_site, token, hello(run.source)) as third:
        assert third.welcome.last_seq == 0


async def test_a_clock_an_hour_off_is_noted_once_and_its_points_kept(live_site, run, token):
    ahead = time.time() + 3600
    first = hello(run.source, clock=ahead)
    for turn in range(2):
        async with linked(live_site, token, first) as peer:
            await peer.batch(columns=[column("loss", (turn, 1.0), at=ahead)])
    note = await db(RunEvent.objects.get, kind="note")
    # The way to the server counts too, and takes what it takes.
    assert 3500 < note.data["clock_ahead_seconds"] <= 3600
    assert "s ahead of the server's" in note.reason
    assert len(await db(stored, run.source)) == 2


async def test_a_clock_that_runs_backwards_is_noted_once_and_counted_and_its_points_kept(
    live_site, run, token
):
    before = metrics.CLOCKS_BACK._value.get()
    async with linked(live_site, token, hello(run.source)) as peer:
        for step, at in enumerate([1000.0, 1001.0, 1000.5, 400.0, 401.0, 300.0]):
            await peer.batch(columns=[column("loss", (step, float(step)), at=at)])
    assert metrics.CLOCKS_BACK._value.get() == before + 2
    note = await db(RunEvent.objects.get, kind="note")
    assert "ran 601 s backwards" in note.reason
    assert len(await db(stored, run.source)) == 6


async def test_a_gigabyte_announced_ends_the_link_with_a_reason_and_is_counted(live_site, run, token):
    before = metrics.REFUSALS.labels("too_large")._value.get()
    first = hello(run.source)
    async with linked(live_site, token, first) as peer:
        await peer.batch(columns=[column("loss", (1, 1.0))])
        # A binary frame's head with a mask, as a client sends it; what it announces never comes.
        peer.socket.transport.write(b"\x82\xff" + (2**30).to_bytes(8, "big") + bytes(4))
        await peer.socket.wait_closed()
        assert peer.socket.close_code == 1009
        assert "1073741824" in peer.socket.close_reason
    async with linked(live_site, token, first) as peer:
        assert peer.welcome.last_seq == 1
    assert metrics.REFUSALS.labels("too_large")._value.get() == before + 1


async def test_a_frame_cut_short_by_a_lost_connection_is_not_stored_at_all(live_site, run, token):
    first = hello(run.source)
    async with linked(live_site, token, first) as peer:
        await peer.batch(columns=[column("loss", (1, 1.0))])
        body = encode(Batch(2, columns=[column("loss", (2, 2.0)), column("acc", (2, 2.0))]))
        head = b"\x82" + bytes([0x80 | 126]) + len(body).to_bytes(2, "big") + bytes(4)
        peer.socket.transport.write(head + body[:-1])
        peer.socket.transport.write_eof()
        await peer.socket.wait_closed()
    async with linked(live_site, token, first) as peer:
        assert peer.welcome.last_seq == 1
        await peer.batch(columns=[column("loss", (3, 3.0))])
    assert await db(stored, run.source) == [(1, 1.0), (3, 3.0)]
    assert await db(stored, run.source, "acc") == []


async def test_a_wrong_version_of_the_wire_is_told_what_to_do(live_site, run, token, monkeypatch):
    monkeypatch.setattr(link_frames, "OLDEST_PROTOCOL", 2)
    monkeypatch.setattr(link_frames, "PROTOCOL_VERSION", 3)
    for spoken, remedy in ((1, "upgrade the SDK"), (4, "upgrade the server")):
        async with linked(live_site, token, hello(run.source, protocol=spoken), welcome=False) as peer:
            refusal = await peer.refusal()
        assert (refusal.code, refusal.final) == ("protocol", True)
        assert f"speaks protocol {spoken}, this server 2 to 3; {remedy}" in refusal.message
    # An SDK that is one version older than its server still talks to it.
    async with linked(live_site, token, hello(run.source, protocol=2)) as peer:
        await peer.batch(columns=[column("loss", (1, 1.0))])


async def test_silence_of_the_link_changes_no_state(live_site, run, token):
    async with linked(live_site, token, hello(run.source)) as peer:
        await peer.batch(columns=[column("loss", (1, 1.0))])
    assert (await db(fresh, run)).state == "running"


async def test_orders_come_by_the_wake_up_in_order_and_again_until_they_are_final(
    no_poll, live_site, run, token
):
    first = hello(run.source)
    async with linked(live_site, token, first) as peer:
        for verb in ("pause", "resume", "pause"):
            await db(issue, run, verb, asked_by="ada")
        while len(peer.orders) < 3:
            await peer.expect(Orders)
        assert [(order.seq, order.verb) for order in peer.orders] == [
            (1, "pause"),
            (2, "resume"),
            (3, "pause"),
        ]
        outcome = Event("command", time.time(), 10, {"seq": 1, "ok": True})
        await peer.batch(events=[outcome])
    # Above what it applied and not final: 2 and 3; the restart of a process asks by its own last number.
    for applied, expected in ((0, [2, 3]), (2, [3])):
        async with linked(live_site, token, msgspec.structs.replace(first, applied_seq=applied)) as peer:
            await peer.expect(Orders)
            assert [order.seq for order in peer.orders] == expected


async def test_without_a_broker_points_are_stored_and_commands_arrive_by_the_poll(
    live_site, run, token, broker, monkeypatch
):
    async with linked(live_site, token, hello(run.source)) as peer:
        await peer.batch(columns=[column("loss", (1, 1.0))])
        broker.kill()
        await peer.batch(columns=[column("loss", (2, 2.0))])
        await db(issue, run, "pause", asked_by="ada")
        await peer.expect(Orders)
        # The poll goes round once more at most; what comes after that comes by the wake-up.
        monkeypatch.setattr(link_hub, "POLL_SECONDS", 3600)
        broker.start()
        for turn in range(2, 5):
            while len(peer.orders) < turn:
                # A wake-up soon after an outage is not even tried: ask again until one is.
                await db(issue, run, "resume", asked_by="ada")
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await peer.expect(Orders)
    assert [order.seq for order in peer.orders] == list(range(1, len(peer.orders) + 1))
    assert await db(stored, run.source) == [(1, 1.0), (2, 2.0)]


async def test_a_restarted_server_goes_on_where_the_last_one_stopped(live_site, run, token):
    first = hello(run.source)
    async with linked(live_site, token, first) as peer:
        await peer.batch(columns=[column("loss", (1, 1.0))])
    await db(live_site.stop)
    await db(live_site.start)
    async with linked(live_site, token, first) as peer:
        assert peer.welcome.last_seq == 1
        await peer.batch(columns=[column("loss", (2, 2.0))])
    assert await db(stored, run.source) == [(1, 1.0), (2, 2.0)]


async def test_an_agent_keeps_its_node_on_the_register(live_site):
    def make():
        node = Node.objects.create(name="n1")
        return ApiToken.issue(TokenKind.NODE, node=node)[1]

    token = await db(make)
    devices = {"system": {"cpu_count": 2}, "devices": [{"kind": "cpu", "index": 0, "name": "slot 0"}]}
    async with linked(live_site, token, hello("node:n1", role="agent")) as peer:
        await peer.batch(
            columns=[column("load_1m", (int(time.time()), 0.5))],
            events=[Event("devices", time.time(), None, devices)],
        )
        wrong = {"system": {}, "devices": [{"kind": "tpu", "index": 0}]}
        await peer.batch(events=[Event("devices", time.time(), None, wrong)])
    node = await db(Node.objects.get)
    assert node.system == {"cpu_count": 2}
    assert node.passed_over_until > timezone.now()
    assert node.passed_over_reason.startswith(
        "what it says of itself cannot be true: device kind='tpu' index=0"
    )
    assert node.last_seen_at is not None
    assert await db(lambda: [device.name for device in node.devices.all()]) == ["slot 0"]
    assert len(await db(stored, "node:n1", "load_1m")) == 1
