"""All processes of a site come back in the same instant: each is welcomed, none for ever refused, and the site answers.

`python -m benchmarks.storm` is the same with 500 processes and the times it takes.
"""

import asyncio

import httpx
import pytest

from monitoring.storage import series
from scaleweb_sdk.protocol import Welcome
from tests.link.peer import column, dial, hello
from tests.support.domain import a_run, a_run_token
from tests.support.wait import PATIENCE_SECONDS, db
from training.models import Run

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, databases="__all__")]
PROCESSES = 100


async def come(site, token, first, step):
    """One process: connects, is welcomed, has its batch stored. Returns its welcome and its open peer."""
    peer = await dial(site, token, first)
    peer.patience = 4 * PATIENCE_SECONDS  # a hundred commits on whatever disk this is
    welcome = await peer.expect(Welcome)  # a refusal fails the test
    peer.seq = peer.acked = welcome.last_seq
    await peer.batch(columns=[column("loss", (step, float(step)))])
    return welcome, peer


async def keep_asking(site, over: asyncio.Event) -> int:
    """Asks the site how it is until the storm is over. Returns how often it answered that it is well."""
    answers = 0
    async with httpx.AsyncClient(base_url=site.url, timeout=4 * PATIENCE_SECONDS) as client:
        while not over.is_set():
            answer = await client.get("/healthz")
            assert answer.status_code == 200, answer.text
            answers += 1
    return answers


async def test_a_hundred_processes_that_come_at_once_are_all_taken_in_again_and_again(live_site):
    def make():
        runs = [a_run(name=f"run {n}") for n in range(PROCESSES)]
        return [(run.source, a_run_token(run)) for run in runs]

    found = await db(make)
    firsts = [(token, hello(source)) for source, token in found]
    for turn in range(2):
        over = asyncio.Event()
        asking = asyncio.create_task(keep_asking(live_site, over))
        came = await asyncio.gather(*(come(live_site, token, first, turn) for token, first in firsts))
        over.set()
        assert await asking >= 1
        assert [welcome.last_seq for welcome, _ in came] == [turn] * PROCESSES
        # The server goes down under all of them, and they find it again in the same instant.
        await db(live_site.stop)
        await db(live_site.start)
        for _, peer in came:
            await peer.socket.close()

    def check():
        assert set(Run.objects.values_list("state", flat=True)) == {"running"}
        for source, _ in found:
            assert sorted(int(s) for each in series.raw(source, ["loss"]) for s in each.steps) == [0, 1]

    await db(check)
