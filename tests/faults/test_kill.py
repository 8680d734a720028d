"""kill -9 of every process, one after another, in the middle of a run: no point lost, the right state at the end."""

import json
import os
import signal
import sys
import textwrap
from collections import Counter

import pytest

from tests.support.stack import RunningStack
from tests.support.wait import until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]
STEPS = 3000
# Logs value == step, so that a point which was lost, doubled or mixed up shows.
SCRIPT = """
    import hashlib, os, pathlib, time, scaleweb_sdk
    run = scaleweb_sdk.init()
    speed = run.tunable("pause", 0.01, low=0.0, high=1.0)
    folder = pathlib.Path(os.environ["SCALEWEB_CHECKPOINT_DIR"])
    first = 0
    if os.environ.get("SCALEWEB_RESUME"):
        first = int(pathlib.Path(os.environ["SCALEWEB_RESUME"]).read_text())
        run.branched(first, "resume")
    for step in range(first, {steps}):
        if step % 50 == 0:
            path = folder / f"{{step}}.txt"
            path.write_text(str(step))
            run.checkpointed(str(path), step, {{}}, "every 50", size_bytes=len(str(step)),
                             sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        run.step({{"value": float(step), "half": step / 2}}, step=step)
        if run.should_stop:
            break
        time.sleep(float(speed))
    run.finish()
"""


@pytest.fixture(scope="module")
def stack():
    made = RunningStack().start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def api(stack):
    return stack.api()


def submit(api, **fields):
    argv = [sys.executable, "-c", textwrap.dedent(SCRIPT.format(steps=STEPS))]
    job = api.post("jobs", {"experiment_name": "faults", "argv": argv} | fields)
    until(lambda: run_of(api, job)["state"] == "running" and (run_of(api, job)["last_step"] or 0) > 20, 30)
    return job


def run_of(api, job):
    return api.get(f"runs/{job['run']}")


def goes_on(api, job, by=100):
    """The run is seen to make steps."""
    seen = run_of(api, job)["last_step"] or 0
    until(lambda: (run_of(api, job)["last_step"] or 0) > seen + by, 40, every=0.1)


def hurry(api, job):
    """Let the script run through."""
    api.post(f"runs/{job['run']}/commands", {"verb": "set", "tunable": "pause", "value": 0.0})


def over(api, job):
    states = ("finished", "failed", "stopped", "lost")
    return until(lambda: (run := run_of(api, job))["state"] in states and run, 60, every=0.1)


def points(api, job):
    """{(branch, key): {step: how often}}, each value checked."""
    found: dict = {}
    for line in api.text(f"runs/{job['run']}/export?format=jsonl&keys=value,half").splitlines():
        point = json.loads(line)
        assert point["value"] == point["step"] / (2 if point["key"] == "half" else 1)
        found.setdefault((point["branch"], point["key"]), Counter())[point["step"]] += 1
    return found


def attempts(api, job):
    return api.get(f"jobs/{job['code']}")["attempts"]


def complete(api, job):
    expected = Counter(range(STEPS))

    def whole():
        found = points(api, job)
        return found.get((0, "value")) == expected and found.get((0, "half")) == expected

    until(whole, 20, every=0.2)


@pytest.mark.parametrize("name", ["web", "broker", "node worker", "control worker", "beat"])
def test_a_killed_process_of_the_site_costs_no_point(stack, api, name):
    job = submit(api)
    stack.kill(name)
    goes_on(api, job)
    hurry(api, job)
    assert over(api, job)["state"] == "finished"
    assert [attempt["outcome"] for attempt in attempts(api, job)] == ["finished"]
    complete(api, job)


def test_all_of_them_one_after_another_in_one_run(stack, api):
    job = submit(api)
    for name in ("node worker", "web", "broker", "control worker"):
        stack.kill(name)
        goes_on(api, job)
    hurry(api, job)
    assert over(api, job)["state"] == "finished"
    assert [attempt["outcome"] for attempt in attempts(api, job)] == ["finished"]
    complete(api, job)


def test_web_and_broker_away_at_the_end_of_the_run(stack, api):
    """The script's last points and its end are told when the site is back."""
    job = submit(api)
    hurry(api, job)
    until(lambda: (run_of(api, job)["last_step"] or 0) > 100)
    stack.kill("web")
    stack.kill("broker")
    assert over(api, job)["state"] == "finished"
    complete(api, job)


def test_a_killed_training_process_resumes_and_every_step_has_its_point(stack, api):
    job = submit(api, max_retries=1)
    until(lambda: len(api.get(f"runs/{job['run']}/checkpoints")["results"]) >= 2, 30)
    os.killpg(run_of(api, job)["process"]["pid"], signal.SIGKILL)
    until(lambda: len(attempts(api, job)) == 2 and run_of(api, job)["state"] == "running", 15)
    hurry(api, job)
    assert over(api, job)["state"] == "finished"
    first, second = attempts(api, job)
    assert (first["outcome"], first["signal"], second["outcome"]) == ("failed", "SIGKILL", "finished")
    resumed_at = next(branch["from_step"] for branch in run_of(api, job)["branches"] if branch["index"] == 1)
    assert resumed_at > 0

    def whole():
        found = points(api, job)
        old, new = found[0, "value"], found.get((1, "value"), Counter())
        return (
            new == Counter(range(resumed_at, STEPS))
            and set(old) >= set(range(resumed_at))
            and max(old.values()) == 1
        )

    until(whole, 20, every=0.2)


def test_without_retries_a_killed_training_process_is_a_clear_failure(stack, api):
    job = submit(api)
    os.killpg(run_of(api, job)["process"]["pid"], signal.SIGKILL)
    until(lambda: run_of(api, job)["state"] == "failed", 15)
    (attempt,) = attempts(api, job)
    assert (attempt["outcome"], attempt["signal"]) == ("failed", "SIGKILL")
    assert attempt["first_error_line"].startswith("killed by SIGKILL")
