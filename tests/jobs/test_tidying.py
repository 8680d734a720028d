"""What attempts leave in their folders goes by rule, and never what somebody still needs."""

import logging
import os
import time
from pathlib import Path

import pytest

from tests.support.wait import until
from training.jobs.local import Local
from training.jobs.tidying import LOOK_EVERY_SECONDS, Tidying
from training.models import Checkpoint

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]
DAY = 86_400
WRITES = "open('left', 'wb').write(bytes({size}))"


def left_by(bench, size: int = 1000, days_ago: float = 0) -> Path:
    """The folder of a job that ended so long ago and wrote so many bytes."""
    job = bench.python(WRITES.format(size=size))
    assert bench.until_over(job).state == "done"
    folder = bench.local(bench.attempt(job)).folder
    until(lambda: not bench.local(bench.attempt(job)).supervised())
    then = time.time() - days_ago * DAY
    os.utime(folder / "exit.json", (then, then))
    assert (folder / "work" / "left").stat().st_size == size
    return folder


def test_work_goes_by_age_then_by_size_and_the_log_says_why(bench, settings, caplog):
    settings.WORK_DAYS, settings.WORK_BYTES = 14, 25_000
    ancient, older, newer = left_by(bench, days_ago=15), left_by(bench, 20_000, 2), left_by(bench, 20_000, 1)
    with caplog.at_level(logging.INFO, logger="training.jobs.tidying"):
        assert Tidying().tidy(time.time()) == 2
    assert [(folder / "work").exists() for folder in (ancient, older, newer)] == [False, False, True]
    assert (ancient / "stdout.log").exists(), "what it printed is not its work"
    first, second = (said for said in caplog.messages if "is removed" in said)
    assert f"{ancient}/work is removed" in first
    assert "ended more than 14 days ago" in first
    assert f"{older}/work is removed" in second
    assert Tidying().tidy(time.time()) == 0


def test_nothing_goes_where_both_settings_are_off(bench, settings):
    settings.WORK_DAYS = settings.WORK_BYTES = 0
    folder = left_by(bench, days_ago=1000)
    assert Tidying().tidy(time.time()) == 0
    assert (folder / "work").exists()


def test_what_lives_or_holds_a_checkpoint_stays(bench, settings):
    settings.WORK_DAYS = 1
    kept = left_by(bench, days_ago=5)
    run = Local(kept).attempt().job.run
    Checkpoint.objects.create(run=run, step=1, path=str(kept / "work" / "left"), size_bytes=1000)
    living = bench.python("import time; time.sleep(600)")
    training = bench.until_process(living)
    assert Tidying().tidy(time.time() + 30 * DAY) == 0
    assert (bench.local(bench.attempt(living)).folder / "work").exists()
    Checkpoint.objects.update(available=False)
    assert Tidying().tidy(time.time()) == 1
    bench.loop.interrupt(1)
    assert not training.alive()


def test_the_loop_sees_to_it_beside_its_looks(bench, settings):
    settings.WORK_DAYS = 1
    folder = left_by(bench, days_ago=5)
    bench.loop.tidying.looked_at -= LOOK_EVERY_SECONDS
    bench.turn()
    until(lambda: not (folder / "work").exists())
    bench.loop.tidying.thread.join(10)
