"""A line that is being written is seen by who looks on and by who comes later, and is gone with its end."""

import asyncio
import json
from urllib.request import Request, urlopen

import pytest

from monitoring.live import open_lines as kept
from monitoring.storage import logs
from scaleweb_sdk.protocol import SERVER_KNOWS, Event, LogLine, OpenLines, Refusal
from tests.link.peer import hello, linked
from tests.live.viewer import browser
from tests.support.domain import a_run_token
from tests.support.wait import db, until_async
from training.link import open_lines

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, databases="__all__")]


def bar(text: str) -> OpenLines:
    return OpenLines([LogLine(1.5, "stderr", text)] if text else [])


async def watched(page, peer, source: str) -> None:
    await page.subscribe(source)
    while 0.05 not in peer.hints:
        await peer.receive()


def log_of(live_site, run, headers) -> tuple[list[str], list[list]]:
    """The texts of its lines, and of each sender the lines that it is writing."""
    asked = Request(f"{live_site.url}/api/v1/runs/{run.code}/logs", headers={"Cookie": headers["Cookie"]})
    with urlopen(asked) as answer:
        page = json.load(answer)
    return [line[2] for line in page["lines"]], [each["lines"] for each in page["open_lines"]]


def standing(live_site, run, headers) -> list[tuple[str, str]]:
    """Of each sender whose line it is, and its text."""
    asked = Request(f"{live_site.url}/api/v1/runs/{run.code}/logs", headers={"Cookie": headers["Cookie"]})
    with urlopen(asked) as answer:
        page = json.load(answer)
    return [(each["whose"], line[2]) for each in page["open_lines"] for line in each["lines"]]


async def in_the_log(*there) -> tuple[list[str], list[list]]:
    return await asyncio.to_thread(log_of, *there)


async def test_a_bar_moves_for_who_looks_on_and_ends_with_its_line(live_site, run, headers):
    token = await db(a_run_token, run)
    said = hello(run.source)
    async with linked(live_site, token, said) as peer, browser(live_site, headers) as page:
        assert peer.welcome.knows == list(SERVER_KNOWS)
        await watched(page, peer, run.source)
        for text in ("10 %", "20 %"):
            await peer.send(bar(text))
            frame = await page.expect("open_lines")
            assert frame["topic"] == run.source
            assert (frame["sender"], frame["lines"]) == (said.session, [[1.5, "stderr", text]])
        assert await in_the_log(live_site, run, headers) == ([], [[[1.5, "stderr", "20 %"]]])
        await peer.batch(wait=False, lines=[LogLine(2.5, "stderr", "100 %")])
        await peer.send(bar(""))
        # The line is there before the bar is gone.
        assert (await page.receive())["lines"] == [[2.5, "stderr", "100 %"]]
        assert (await page.expect("open_lines"))["lines"] == []
        assert await in_the_log(live_site, run, headers) == (["100 %"], [])
    assert await db(lambda: logs.read(run.source).total) == 1, "no state of the bar before was stored"


async def test_who_comes_later_reads_what_stands_though_nobody_looked_on(live_site, run, headers):
    token = await db(a_run_token, run)
    async with linked(live_site, token, hello(run.source)) as peer:
        await peer.send(bar("30 %"))
        await until_async(lambda: log_of(live_site, run, headers)[1] == [[[1.5, "stderr", "30 %"]]])
        await peer.batch(
            lines=[LogLine(1.0, "stdout", "x")], events=[Event("finish", 2.0, None, {"state": "finished"})]
        )
        assert (await in_the_log(live_site, run, headers))[1] == [], (
            "nothing is written in a run that has ended"
        )


async def test_of_a_sender_that_tells_too_often_the_newest_is_shown(live_site, run, headers, monkeypatch):
    token = await db(a_run_token, run)
    async with linked(live_site, token, hello(run.source)) as peer, browser(live_site, headers) as page:
        await watched(page, peer, run.source)
        for step in range(300):
            await peer.send(bar(f"step {step}"))
        shown = []
        while "step 299" not in shown:
            shown += [line[2] for line in (await page.expect("open_lines"))["lines"]]
        assert len(shown) < 100


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"rank": 0, "world_size": 2}, {"rank": 1, "world_size": 2}),
        (
            {"role": "supervisor", "process": {"node": "node-1", "nodes": 2}},
            {"role": "supervisor", "process": {"node": "node-2", "nodes": 2}},
        ),
    ],
    ids=["ranks", "nodes"],
)
async def test_of_a_run_of_several_each_open_line_says_whose_it_is_and_stands_beside_the_others(
    live_site, run, headers, first, second
):
    token = await db(a_run_token, run)
    names = [
        said["process"]["node"] if "process" in said else f"rank {said['rank']}" for said in (first, second)
    ]
    async with (
        linked(live_site, token, hello(run.source, **second)) as other,
        linked(live_site, token, hello(run.source, **first)) as peer,
    ):
        await other.send(bar("10 %"))
        await peer.send(bar("20 %"))
        await peer.send(bar("30 %"))
        await until_async(
            lambda: standing(live_site, run, headers) == [(names[0], "30 %"), (names[1], "10 %")]
        )


@pytest.mark.parametrize(
    "process", [{}, {"node": "node-1", "nodes": 1}, {"node": 7, "nodes": 2}, {"node": "node-1", "nodes": "2"}]
)
def test_a_part_of_a_job_that_is_alone_or_says_nothing_of_use_has_no_name(process):
    assert open_lines.whose(hello("run:x", role="supervisor", process=process)) == ""


async def test_what_a_sender_that_is_gone_was_writing_is_gone_too(live_site, run, headers):
    token = await db(a_run_token, run)
    async with browser(live_site, headers) as page:
        async with linked(live_site, token, hello(run.source)) as peer:
            await watched(page, peer, run.source)
            await peer.send(bar("40 %"))
            assert (await page.expect("open_lines"))["lines"]
        assert (await page.expect("open_lines"))["lines"] == []
    assert await in_the_log(live_site, run, headers) == ([], [])


async def test_what_stands_is_told_again_before_it_counts_as_gone(live_site, run, headers, monkeypatch):
    monkeypatch.setattr(open_lines, "REPEAT_SECONDS", 0.1)
    token = await db(a_run_token, run)
    async with linked(live_site, token, hello(run.source)) as peer, browser(live_site, headers) as page:
        await watched(page, peer, run.source)
        await peer.send(bar("50 %"))
        first, again = [await page.expect("open_lines") for _ in range(2)]
        assert again["lines"] == first["lines"]
        assert again["at"] > first["at"]
        monkeypatch.setattr(kept, "OPEN_LINES_SECONDS", 0)
        assert (await in_the_log(live_site, run, headers))[1] == [], "one whose server was killed"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([LogLine(1.0, "stdout", "x")] * 17, "there are 17 open lines; expected at most 16"),
        ([LogLine(float("nan"), "stdout", "x")], "expected stdout or stderr"),
        ([LogLine(1.0, "std\nout", "x")], "expected stdout or stderr"),
    ],
)
async def test_open_lines_that_cannot_be_are_refused_in_words(live_site, run, lines, words):
    token = await db(a_run_token, run)
    async with linked(live_site, token, hello(run.source)) as peer:
        await peer.send(OpenLines(lines))
        refusal = await peer.refusal()
        assert isinstance(refusal, Refusal)
        assert refusal.code == "bad_frame"
        assert words in refusal.message
