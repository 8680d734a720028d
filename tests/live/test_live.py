"""The live path through real sockets and a real broker: who sees what, in order, and how the slow fare."""

import asyncio
import json
import math
import threading
import time
from contextlib import suppress

import pytest
from django.contrib.sessions.models import Session
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from monitoring.live import frames, hub
from monitoring.live.channels import LIVE_CHANNEL
from monitoring.live.publish import publish_change, send
from scaleweb_sdk.protocol import Hint, LogLine
from tests.link.peer import column, hello, linked
from tests.live.viewer import browser
from tests.support.domain import a_project, a_run, a_run_token, a_user
from tests.support.wait import PATIENCE_SECONDS, db, until_async
from training.commands import issue
from training.models import Membership

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, databases="__all__")]


async def test_without_a_login_the_door_is_closed(live_site):
    async with connect(live_site.ws + "/ws/live", origin=live_site.url) as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4401


async def test_another_site_may_not_open_it(live_site, headers):
    with pytest.raises(InvalidStatus):
        await connect(
            live_site.ws + "/ws/live", additional_headers=headers | {"Origin": "https://evil.example"}
        )


async def test_other_websocket_paths_are_closed(live_site):
    with pytest.raises(InvalidStatus):
        await connect(live_site.ws + "/ws/other")


async def test_topics_follow_the_roles(live_site, run, headers):
    hidden = await db(lambda: a_run(a_project("secret")))
    experiment = f"experiment:{run.experiment_id}"
    async with browser(live_site, headers) as page:
        asked = [
            run.source,
            hidden.source,
            experiment,
            f"experiment:{hidden.experiment_id}",
            "experiment:9",
            "queue",
        ]
        answer = await page.subscribe(*asked, "fleet", "node:any")
        assert set(answer["topics"]) == {run.source, experiment, "queue", "fleet", "node:any"}
        assert set(answer["refused"]) == {hidden.source, f"experiment:{hidden.experiment_id}", "experiment:9"}
    root = await db(lambda: live_site.login(a_user("root", is_superuser=True)))
    async with browser(live_site, root) as page:
        assert (await page.subscribe(hidden.source))["refused"] == []


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ("{", "not JSON"),
        ("[" * 5000, "not JSON"),
        ("[]", "expected a JSON object"),
        ("{}", "expected subscribe, unsubscribe or ping"),
        ({"type": "dance"}, "expected subscribe"),
        ({"type": ["ping"]}, "expected subscribe"),
        ({"type": "subscribe"}, "topics is missing"),
        ({"type": "subscribe", "topics": "run:x"}, "topics is missing"),
        ({"type": "subscribe", "topics": [1]}, "topics is missing"),
        ({"type": "subscribe", "topics": ["everything"]}, "topic='everything' is unknown"),
        ({"type": "subscribe", "topics": ["run:\x00"]}, "is unknown"),
        ({"type": "subscribe", "topics": ["run:" + "x" * 300]}, "is unknown"),
        ({"type": "subscribe", "topics": [f"run:{n}" for n in range(501)]}, "at most 500"),
        ("x" * 70_000, "at most 65536"),
        (b"\x00", "binary"),
    ],
)
async def test_a_bad_frame_is_answered_with_a_reason_and_the_page_goes_on(live_site, headers, frame, words):
    async with browser(live_site, headers) as page:
        await page.send(frame)
        answer = await page.receive()
        assert answer["type"] == "error"
        assert words in answer["message"]
        await page.send({"type": "ping"})
        assert await page.receive() == {"type": "pong"}


async def test_five_hundred_topics_in_portions_are_the_limit_too(live_site, headers):
    async with browser(live_site, headers) as page:
        await page.subscribe(*(f"node:{n}" for n in range(400)))
        await page.send({"type": "subscribe", "topics": [f"node:{n}" for n in range(350, 501)]})
        assert "501 topics are too many" in (await page.receive())["message"]


async def test_what_a_process_logs_reaches_the_pages_that_watch_it(live_site, run, headers):
    token = await db(a_run_token, run)
    async with linked(live_site, token, hello(run.source)) as peer, browser(live_site, headers) as page:
        await peer.expect(Hint)
        assert peer.hints == [1.0]
        await page.subscribe(run.source)
        while peer.hints[-1] != 0.05:
            await peer.expect(Hint)
        await peer.batch(
            columns=[column("loss", (1, 0.5), (2, math.nan)), column("acc", (2, math.inf))],
            lines=[LogLine(1.5, "stdout", "epoch 1 🙂")],
        )
        points = await page.expect("points")
        assert points["topic"] == run.source
        assert points["branch"] == 0
        assert points["columns"]["loss"]["step"] == [1, 2]
        assert points["columns"]["loss"]["value"] == [0.5, "NaN"]
        assert points["columns"]["acc"]["value"] == ["Infinity"]
        assert (await page.expect("lines"))["lines"] == [[1.5, "stdout", "epoch 1 🙂"]]


async def test_what_a_run_logs_while_nobody_watches_is_not_even_encoded(live_site, run, headers, broker):
    token = await db(a_run_token, run)
    with broker.client().pubsub() as ear:
        ear.psubscribe("sw:live:*")
        async with linked(live_site, token, hello(run.source)) as peer:
            for step in range(20):
                await peer.batch(columns=[column("loss", (step, 0.5))], lines=[LogLine(0.0, "stdout", "x")])
            async with browser(live_site, headers) as page:
                await page.subscribe(run.source)
                while 0.05 not in peer.hints:
                    await peer.expect(Hint)
                await peer.batch(columns=[column("loss", (20, 0.5))])
                await page.expect("points")
        told = []
        while (message := ear.get_message(timeout=1)) is not None:
            told += [json.loads(message["data"])] if message["type"] == "pmessage" else []
    assert [frame["columns"]["loss"]["step"] for frame in told if frame["type"] == "points"] == [[20]]
    assert not [frame for frame in told if frame["type"] == "lines"]


async def test_a_process_that_connects_while_it_is_watched_is_told_at_once(live_site, run, headers, broker):
    async with browser(live_site, headers) as page:
        await page.subscribe(run.source)
        client = broker.client()
        await until_async(lambda: client.exists(f"sw:watch:{run.source}"))
        token = await db(a_run_token, run)
        async with linked(live_site, token, hello(run.source)) as peer:
            while 0.05 not in peer.hints:
                await peer.expect(Hint)
            assert len(peer.hints) <= 2


async def test_nobody_watching_slows_the_process_down_again(live_site, run, headers, broker, monkeypatch):
    monkeypatch.setattr(hub, "WATCH_EXPIRES_SECONDS", 1)
    token = await db(a_run_token, run)
    async with linked(live_site, token, hello(run.source)) as peer:
        async with browser(live_site, headers) as page:
            await page.subscribe(run.source)
            while 0.05 not in peer.hints:
                await peer.expect(Hint)
        while peer.hints[-1] != 1.0:
            await peer.expect(Hint)


async def test_changes_are_numbered_per_topic_and_page(live_site, run, headers):
    async with browser(live_site, headers) as first, browser(live_site, headers) as second:
        await first.subscribe(run.source, "queue")
        await db(publish_change, run.source, "run", {"a": math.nan})
        frame = await first.expect("changed")
        assert (frame["n"], frame["what"], frame["data"], frame["topic"]) == (
            1,
            "run",
            {"a": "NaN"},
            run.source,
        )
        await second.subscribe(run.source)
        await db(publish_change, run.source, "run", {"b": 2})
        await db(publish_change, "queue", "job", {"c": 3})
        assert [(await first.receive())["n"] for _ in range(2)] == [2, 1]
        assert (await second.receive())["n"] == 1
        await first.send({"type": "unsubscribe", "topics": [run.source, "node:never"]})
        await first.send({"type": "ping"})
        await first.expect("pong")
        await db(publish_change, run.source, "run", {"d": 4})
        await db(publish_change, "queue", "job", {"e": 5})
        assert (await first.receive())["data"] == {"e": 5}


async def test_who_began_to_read_before_it_listened_hears_first_of_what_changed_meanwhile(
    live_site, run, headers
):
    async with browser(live_site, headers) as page:
        await page.subscribe("queue")
        await db(publish_change, "queue", "job", {"heard": True})
        await page.expect("changed")
        heard = time.monotonic()
        # From then on the site knows all that changed; it looks a second further back than it is asked to.
        await until_async(lambda: time.monotonic() > heard + 1.5)
        began = time.monotonic()
        for n in range(2):
            await db(publish_change, run.source, "run", {"n": n})
        await db(publish_change, "queue", "job", {"heard": True})
        await page.expect("changed")
        ago = time.monotonic() - began
        await page.send({"type": "subscribe", "topics": [run.source], "read_seconds_ago": ago})
        await page.expect("subscribed")
        changes = [await page.receive() for _ in range(2)]
        await db(publish_change, run.source, "run", {"n": 2})
        changes.append(await page.receive())
        assert [(each["n"], each["data"]) for each in changes] == [(n + 1, {"n": n}) for n in range(3)]
    async with browser(live_site, headers) as late:
        await late.send({"type": "subscribe", "topics": [run.source], "read_seconds_ago": 3600})
        assert (await late.expect("lost"))["n"] == 1
        for ago in (-1, "soon", True, 1e9):
            await late.send({"type": "subscribe", "topics": [run.source], "read_seconds_ago": ago})
            assert "must be a number from 0" in (await late.expect("error"))["message"]


async def test_a_command_is_seen_on_its_way(live_site, run, headers):
    token = await db(a_run_token, run)
    async with linked(live_site, token, hello(run.source)) as peer, browser(live_site, headers) as page:
        await page.subscribe(run.source)
        await db(issue, run, "pause", asked_by="ada", reason="lunch")
        states = []
        while "sent" not in states:
            frame = await page.expect("changed")
            if frame["what"] == "command":
                states.append(frame["data"]["state"])
                assert (frame["data"]["asked_by"], frame["data"]["reason"]) == ("ada", "lunch")
        assert states == ["pending", "sent"]
        assert peer.seq == 0


async def test_a_page_that_does_not_read_loses_the_oldest_and_holds_up_nobody(live_site, run, headers):
    """3,000 messages of 20 kB: more than sockets and queue hold for the page that reads nothing."""
    async with browser(live_site, headers) as quick:
        slow = await connect(
            live_site.ws + "/ws/live",
            additional_headers=headers,
            max_size=None,
            max_queue=1,
            compression=None,
        )
        try:
            await slow.send(json.dumps({"type": "subscribe", "topics": [run.source]}))
            await asyncio.wait_for(slow.recv(), PATIENCE_SECONDS)
            await quick.subscribe(run.source)
            message = {"type": "changed", "what": "run", "at": 0, "data": {"text": "x" * 20_000}}
            count = 3000
            # The quick one must not be held up by this test's own load: it never has more than 100 to read.
            room = threading.Semaphore(100)

            def publish():
                for _ in range(count):
                    assert room.acquire(timeout=PATIENCE_SECONDS)
                    send(LIVE_CHANNEL + run.source, message)

            async def read():
                got = []
                for _ in range(count):
                    got.append((await quick.receive())["n"])
                    room.release()
                return got

            got, _ = await asyncio.gather(read(), db(publish))
            assert got == list(range(1, count + 1))
            seen = [json.loads(await asyncio.wait_for(slow.recv(), PATIENCE_SECONDS))["n"]]
            while seen[-1] < count:
                seen.append(json.loads(await asyncio.wait_for(slow.recv(), PATIENCE_SECONDS))["n"])
            assert seen == sorted(set(seen))
            assert len(seen) < count  # some were dropped, and the numbers show where
        finally:
            await slow.close()


async def test_the_live_path_comes_back_with_the_broker_and_says_what_it_lost(
    live_site, run, headers, broker
):
    async with browser(live_site, headers) as page:
        await page.subscribe(run.source)
        await db(publish_change, run.source, "run", {"n": 1})
        assert (await page.expect("changed"))["n"] == 1
        broker.kill()
        await db(publish_change, run.source, "run", {"n": 2})  # lost, and no error for who published it
        broker.start()
        lost = await page.expect("lost")
        assert (lost["topic"], lost["n"]) == (run.source, 3)  # 2 is missing: read the store

        async def published():
            await db(publish_change, run.source, "run", {"n": 3})
            return await page.receive(timeout=0.5)

        frame = None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while frame is None:
                with suppress(TimeoutError):
                    frame = await published()
        assert frame["data"] == {"n": 3}


async def test_a_role_taken_away_ends_the_watching(live_site, run, headers, monkeypatch):
    monkeypatch.setattr("monitoring.live.consumers.RECHECK_SECONDS", 0.05)
    async with browser(live_site, headers) as page:
        await page.subscribe(run.source, "queue")
        await db(Membership.objects.all().delete)
        assert (await page.expect("subscribed"))["refused"] == [run.source]
        await db(publish_change, run.source, "run", {})
        await db(publish_change, "queue", "job", {})
        assert (await page.receive())["topic"] == "queue"


async def test_logging_out_closes_the_pages_that_are_still_open(live_site, run, headers, monkeypatch):
    monkeypatch.setattr("monitoring.live.consumers.RECHECK_SECONDS", 0.05)
    async with browser(live_site, headers) as page:
        await page.subscribe(run.source)
        await db(Session.objects.all().delete)
        with pytest.raises(ConnectionClosed):
            await page.receive()
        assert page.socket.close_code == 4401


def test_a_message_too_big_to_draw_tells_the_page_to_read_the_store():
    many = [("loss", list(range(30_000)), [0.0] * 30_000, [0.0] * 30_000)]
    assert json.loads(frames.points(0, many)) == {"type": "lost"}
    assert json.loads(frames.lines([(0.0, "stdout", "x")] * 3_000)) == {"type": "lost"}


def test_a_key_that_comes_twice_is_joined():
    frame = json.loads(frames.points(1, [("a", [1], [0.0], [1.0]), ("a", [2], [0.5], [math.nan])]))
    assert frame["columns"] == {"a": {"step": [1, 2], "time": [0.0, 0.5], "value": [1.0, "NaN"]}}
