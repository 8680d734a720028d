"""A server that is behind asks for fewer, larger batches; once it has caught up, all is as before."""

import threading

import pytest

from monitoring.live import publish
from monitoring.storage import series, writer
from tests.link.peer import column, hello, linked
from tests.support.domain import a_run, a_run_token
from tests.support.wait import PATIENCE_SECONDS, db
from training import metrics
from training.link import hub as link_hub
from training.link.pressure import Pressure


@pytest.mark.parametrize(
    ("lateness", "asked"),
    [
        ([0.0, 0.05, 0.09], [0, 0, 0]),
        ([0.6], [0.25]),
        ([0.6] * 8, [0.25, 0.5, 1, 2, 4, 8, 10, 10]),
        ([0.6, 0.6, 0.3, 0.2], [0.25, 0.5, 0.5, 0.5]),  # neither late nor quick: it stays
        ([0.6, 0.6, 0.6, 0.0, 0.0, 0.0, 0.0], [0.25, 0.5, 1, 0.5, 0.25, 0, 0]),
    ],
)
def test_the_interval_doubles_while_commits_are_late_and_halves_once_they_are_quick(lateness, asked):
    by_commits, by_waiting = Pressure(), Pressure()
    for late, wanted in zip(lateness, asked, strict=True):
        before = by_commits.flush_seconds
        by_commits.note(late)
        by_commits.note(0.0)
        assert by_commits.look(0.0) == (wanted != before)
        by_waiting.look(late)
        assert (by_commits.flush_seconds, by_waiting.flush_seconds) == (wanted, wanted)


@pytest.fixture
def quick_looks(monkeypatch):
    """Ask for it before the site."""
    monkeypatch.setattr(link_hub, "FIGURES_SECONDS", 0.05)


@pytest.mark.processes
@pytest.mark.django_db(transaction=True, databases="__all__")
async def test_senders_are_hinted_to_slow_down_while_the_disk_is_slow_and_nothing_is_dropped(
    quick_looks, live_site, monkeypatch
):
    def make():
        run, other = a_run(), a_run(name="other")
        return run, a_run_token(run), other, a_run_token(other)

    run, token, other, other_token = await db(make)
    disk_is_back = threading.Event()
    store = writer.store

    def slow_store(group):
        assert disk_is_back.wait(PATIENCE_SECONDS)
        store(group)

    monkeypatch.setattr(writer, "store", slow_store)
    try:
        busy_link = linked(live_site, token, hello(run.source))
        idle_link = linked(live_site, other_token, hello(other.source))
        async with busy_link as busy, idle_link as idle:
            for step in range(10):
                await busy.batch(wait=False, columns=[column("loss", (step, 0.5))])
            # The one that sends nothing is asked too: its next batch would wait in the same queue.
            for peer in (busy, idle):
                while not peer.hints or peer.hints[-1] < 4:
                    await peer.receive()
            assert metrics.FLUSH_SECONDS._value.get() >= 4
            disk_is_back.set()
            for peer in (busy, idle):
                while peer.hints[-1] != 1.0:
                    await peer.receive()
            while busy.acked < 10:
                await busy.receive()
    finally:
        disk_is_back.set()
    points = await db(lambda: [len(found.steps) for found in series.raw(run.source, ["loss"])])
    assert sum(points) == 10


@pytest.mark.processes
@pytest.mark.django_db(transaction=True, databases="__all__")
async def test_a_sender_that_the_controller_watches_is_hinted_to_flush_as_for_a_viewer(live_site):
    def make():
        run = a_run()
        return run, a_run_token(run)

    run, token = await db(make)
    async with linked(live_site, token, hello(run.source)) as peer:
        while not peer.hints:
            await peer.receive()
        assert peer.hints == [1.0]
        await db(lambda: publish.watch([run.source, "run:of-another-site"]))
        while peer.hints[-1] != 0.05:
            await peer.receive()
