"""Real trainings give way to another job and go on where they were."""

import json

import pytest

from training.models import Attempt, Checkpoint, Job

pytestmark = [pytest.mark.processes, pytest.mark.django_db(databases="__all__", transaction=True)]

# Counts steps; what it counted is its checkpoint.
COUNTS = """
    import json, os, sys, time
    from pathlib import Path
    import scaleweb_sdk
    run = scaleweb_sdk.init()
    folder = Path(os.environ["SCALEWEB_CHECKPOINT_DIR"])
    resumed = os.environ.get("SCALEWEB_RESUME")
    step = json.loads(Path(resumed).read_text()) if resumed else 0
    def save():
        path = folder / f"{step}.json"
        path.write_text(json.dumps(step))
        run.checkpointed(path, step)
    run.on_checkpoint(save)
    with open(os.environ["NOTES"], "a") as notes:
        while True:
            run.step({"loss": 1.0}, step=step)
            if run.should_stop:
                break  # saved at this boundary: the step is the next process's
            print(json.dumps([os.getpid(), step]), file=notes, flush=True)
            step += 1
            time.sleep(0.01)
    run.finish()
"""
DEAF = """
    import os, signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path = open(os.environ["NOTES"], "a")
    print("[1, 0]", file=Path, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def notes(tmp_path):
    return tmp_path / "notes"


def steps(notes):
    return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []


def outcomes(job):
    return list(Attempt.objects.filter(job=job).order_by("number").values_list("outcome", flat=True))


def test_a_training_saves_leaves_and_goes_on_at_its_very_step_when_the_other_has_ended(
    bench, notes, settings, tmp_path
):
    settings.PREEMPT_AFTER_SECONDS = 0.5
    job = bench.python(COUNTS, min_devices=2, max_devices=2, env={"NOTES": str(notes)})
    bench.until(lambda: len(steps(notes)) > 20 and bench.fresh(job).run.offers)
    done = tmp_path / "done"
    urgent = bench.job(
        ["/bin/sh", "-c", f"until [ -e {done} ]; do sleep 0.05; done"],
        min_devices=2,
        max_devices=2,
        priority=200,
    )
    bench.until_process(urgent)
    assert (bench.fresh(job).state, outcomes(job)) == ("queued", ["preempted"])
    left_at = Checkpoint.objects.get(run=job.run).step
    before = steps(notes)
    assert before[-1][1] <= left_at
    done.touch()
    bench.until_over(urgent)
    bench.until(lambda: len(steps(notes)) > len(before) + 5)
    first_pid = before[0][0]
    again = [step for pid, step in steps(notes) if pid != first_pid]
    assert again[0] == left_at, "the step that it had not counted yet"
    assert [step for _, step in steps(notes)] == list(range(len(steps(notes)))), "none is missing, none twice"
    assert bench.fresh(job).retries_used == 0


def test_a_process_that_does_not_listen_is_ended_after_its_grace_and_queued_again(bench, notes, settings):
    settings.PREEMPT_AFTER_SECONDS, settings.STOP_GRACE_SECONDS = 0.5, 0.5
    job = bench.python(DEAF, min_devices=2, max_devices=2, preemptible="always", env={"NOTES": str(notes)})
    bench.until(lambda: steps(notes))
    urgent = bench.until_over(bench.job(["true"], priority=200))
    assert urgent.state == "done"
    attempt = Attempt.objects.get(job=job, number=1)
    assert (attempt.outcome, attempt.signal) == ("preempted", "SIGKILL")
    bench.until(lambda: len(steps(notes)) == 2)
    assert Job.objects.get(pk=job.pk).state == "active"
