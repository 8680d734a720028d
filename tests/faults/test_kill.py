"""kill -9 of every process, one after another, in the middle of a run: no point lost, the right state at the end.

The script runs until the test says so, through a file that no killed process can cut off, and notes its last step
in another: so "in the middle" holds on a slow machine too, and a tail that is missing shows.
"""

import json
import os
import signal
import sys
import textwrap
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from tests.faults.conftest import USUAL_LEASE_SECONDS
from tests.support.stack import RunningStack
from tests.support.tally import made
from tests.support.wait import until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]
CLEAR_STATE_SECONDS = 15
# A process of the site that was killed has started again by then, on a machine with nothing to spare too.
BACK_SECONDS = 40
# A worker adopts what runs only if it is back within the lease, so here the lease is longer than that. How soon the end
# of a lease is noticed is asked of the usual site, where no worker has to start.
LEASE_SECONDS = BACK_SECONDS + 5
# Logs value == step, so that a point which was lost, doubled or mixed up shows.
SCRIPT = """
    import hashlib, os, pathlib, sys, time, scaleweb_sdk
    told = pathlib.Path(sys.argv[1])
    run = scaleweb_sdk.init()
    folder = pathlib.Path(os.environ["SCALEWEB_CHECKPOINT_DIR"])
    step = 0
    if os.environ.get("SCALEWEB_RESUME"):
        step = int(pathlib.Path(os.environ["SCALEWEB_RESUME"]).read_text())
        run.branched(step, "resume")
    while not (told / "end").exists():
        if step % 50 == 0:
            path = folder / f"{step}.txt"
            path.write_text(str(step))
            run.checkpointed(str(path), step, {}, "every 50", size_bytes=len(str(step)),
                             sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        run.step({"value": float(step), "half": step / 2}, step=step)
        step += 1
        time.sleep(0.01)
    (told / "steps").write_text(str(step))
    run.finish()
"""


@pytest.fixture(scope="module")
def stack():
    made = RunningStack(SCALEWEB_LEASE_SECONDS=str(LEASE_SECONDS)).start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def api(stack):
    return stack.api()


class Training:
    """A job of the script above, seen through the API."""

    def __init__(self, api, folder: Path, **fields) -> None:
        self.api, self.folder = api, folder
        argv = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(folder)]
        self.job = api.post("jobs", {"experiment_name": "faults", "argv": argv} | fields)
        until(lambda: self.run["state"] == "running", BACK_SECONDS, every=0.1)
        self.goes_on(20)

    @property
    def run(self):
        return self.api.get(f"runs/{self.job['run']}")

    @property
    def attempts(self):
        return self.api.get(f"jobs/{self.job['code']}")["attempts"]

    @property
    def last_step(self) -> int:
        return self.run["last_step"] or 0

    def goes_on(self, by: int = 100) -> None:
        """The site is seen to get further steps."""
        seen = self.last_step
        until(lambda: self.last_step > seen + by, BACK_SECONDS, every=0.1)

    def end(self) -> int:
        """Let the script come to its end. Returns how many steps it made."""
        (self.folder / "end").touch()
        return until(self.steps, 30)

    def steps(self) -> int | None:
        path = self.folder / "steps"
        return int(path.read_text()) if path.exists() and path.read_text() else None

    def kill(self) -> float:
        """kill -9 of the training process and its group; returns when."""
        os.killpg(self.run["process"]["pid"], signal.SIGKILL)
        made("kill -9 of training process")
        return time.time()

    def over(self):
        states = ("finished", "failed", "stopped", "lost")
        return until(lambda: (run := self.run)["state"] in states and run, 60, every=0.1)

    def points(self):
        """{(branch, key): {step: how often}}, each value checked."""
        found: dict = {}
        text = self.api.text(f"runs/{self.job['run']}/export?format=jsonl&keys=value,half")
        for line in text.splitlines():
            point = json.loads(line)
            assert point["value"] == point["step"] / (2 if point["key"] == "half" else 1)
            found.setdefault((point["branch"], point["key"]), Counter())[point["step"]] += 1
        return found

    def until_complete(self, first: int, steps: int, branch: int = 0) -> None:
        expected = Counter(range(first, steps))

        def whole():
            found = self.points()
            return all(found.get((branch, key)) == expected for key in ("value", "half"))

        until(whole, 30, every=0.3)


def ended_at(attempt) -> float:
    return datetime.fromisoformat(attempt["ended_at"]).timestamp()


@pytest.fixture
def training(api, tmp_path):
    return lambda **fields: Training(api, tmp_path, **fields)


@pytest.mark.parametrize("name", ["web", "broker", "node worker", "control worker", "beat"])
def test_a_killed_process_of_the_site_costs_no_point(stack, training, name):
    it = training()
    stack.kill(name)
    it.goes_on()
    steps = it.end()
    assert it.over()["state"] == "finished"
    assert [attempt["outcome"] for attempt in it.attempts] == ["finished"]
    it.until_complete(0, steps)


def test_all_of_them_one_after_another_in_one_run(stack, training):
    """The training process last: what it had made since its last checkpoint is made again, on a branch of its own."""
    it = training(max_retries=1)
    for name in ("node worker", "web", "broker", "control worker"):
        stack.kill(name)
        it.goes_on()
        assert [attempt["outcome"] for attempt in it.attempts] == [""], name
    it.kill()
    until(lambda: len(it.attempts) == 2 and it.run["state"] == "running", BACK_SECONDS)
    it.goes_on()
    steps = it.end()
    assert it.over()["state"] == "finished"
    first, second = it.attempts
    assert (first["outcome"], first["signal"], second["outcome"]) == ("failed", "SIGKILL", "finished")
    whole_from_its_checkpoint_on(it, steps)


def test_web_and_broker_away_at_the_end_of_the_run(stack, training):
    """The script's last points and its end are told when the site is back."""
    it = training()
    stack.kill("web")
    stack.kill("broker")
    steps = it.end()
    assert it.over()["state"] == "finished"
    it.until_complete(0, steps)


def test_web_and_training_process_killed_in_the_same_moment(stack, training):
    it = training(max_retries=1)
    until(lambda: len(it.api.get(f"runs/{it.job['run']}/checkpoints")["results"]) >= 2, 30)
    pid = it.run["process"]["pid"]
    stack.kill("web")
    os.killpg(pid, signal.SIGKILL)
    made("kill -9 of training process")
    until(lambda: len(it.attempts) == 2 and it.run["state"] == "running", 60)
    it.goes_on()
    steps = it.end()
    assert it.over()["state"] == "finished"
    whole_from_its_checkpoint_on(it, steps)


def whole_from_its_checkpoint_on(it: Training, steps: int) -> None:
    """Every step up to the checkpoint is on the first branch, every one from it on the second, each once."""
    (resumed_at,) = (branch["from_step"] for branch in it.run["branches"] if branch["index"] == 1)
    assert resumed_at > 0
    it.until_complete(resumed_at, steps, branch=1)
    for key in ("value", "half"):
        old = it.points()[0, key]
        assert set(old) >= set(range(resumed_at))
        assert max(old.values()) == 1


def test_a_killed_training_process_is_a_clear_failure_within_seconds(training):
    it = training()
    at = it.kill()
    run = it.over()
    (attempt,) = it.attempts
    assert (run["state"], attempt["outcome"], attempt["signal"]) == ("failed", "failed", "SIGKILL")
    assert attempt["first_error_line"].startswith("killed by SIGKILL")
    assert ended_at(attempt) - at < CLEAR_STATE_SECONDS


def test_a_worker_that_hangs_loses_its_attempt_within_seconds_and_takes_it_back_when_it_wakes(
    usual_site, tmp_path
):
    it = Training(usual_site.api(), tmp_path)
    worker = usual_site.child("node worker")
    worker.suspend()
    made("zombie")
    at = time.time()
    soon = USUAL_LEASE_SECONDS + 5
    try:
        # The run itself may be running again two seconds later: its process is connected, and heard.
        until(lambda: it.attempts[0]["outcome"] == "lost", soon, every=0.1)
        (attempt,) = it.attempts
        assert ended_at(attempt) - at < soon
    finally:
        worker.resume()
    until(lambda: it.run["state"] == "running" and it.attempts[0]["outcome"] == "", 30, every=0.1)
    it.goes_on()
    steps = it.end()
    assert it.over()["state"] == "finished"
    assert [attempt["outcome"] for attempt in it.attempts] == ["finished"]
    it.until_complete(0, steps)
