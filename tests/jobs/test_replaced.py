"""Workers, supervisors and processes that die, and what takes their place: nothing is lost and nothing runs twice."""

import os
import signal
import threading

import pytest

from tests.jobs.scripts import TRAINS, WAITS, lines_of, state_of
from tests.support.wait import until
from training.jobs import attempts, local, spec, tasks
from training.jobs import submit as jobs
from training.jobs.processes import read_json, write_json
from training.models import Attempt, RunEvent

pytestmark = [pytest.mark.processes, pytest.mark.django_db(databases="__all__", transaction=True)]


def test_a_killed_training_process_is_tried_again_from_its_newest_whole_checkpoint(bench):
    job = bench.python(
        """
        import hashlib, os, pathlib, scaleweb_sdk, time
        run = scaleweb_sdk.init()
        resume = os.environ.get("SCALEWEB_RESUME")
        folder = pathlib.Path(os.environ["SCALEWEB_CHECKPOINT_DIR"])
        if not resume:
            for step in range(0, 3):
                run.step({"loss": 1.0}, step=step)
                path = folder / f"{step}.bin"
                path.write_bytes(b"x" * (step + 10))
                sha = hashlib.sha256(path.read_bytes()).hexdigest()
                run.checkpointed(str(path), step, {}, "test", size_bytes=step + 10, sha256=sha)
            (folder / "2.bin").write_bytes(b"x")
            print("saved", flush=True)
            while True:
                run.step({"loss": 1.0}); time.sleep(0.01)
        print("resumed from", pathlib.Path(resume).name, "at", os.environ["SCALEWEB_RESUME_STEP"])
        run.finish()
        """,
        max_retries=1,
    )
    training = bench.until_process(job)
    bench.until(lambda: job.run.checkpoints.count() == 3 and "saved" in lines_of(job))
    os.killpg(training.pid, signal.SIGKILL)
    job = bench.until_over(job)
    first, second = Attempt.objects.filter(job=job).order_by("number")
    assert (first.outcome, first.signal, second.outcome) == ("failed", "SIGKILL", "finished")
    assert "killed by SIGKILL" in first.first_error_line
    assert (job.state, job.run.state, job.retries_used) == ("done", "finished", 1)
    # The checkpoint of step 2 was cut short after it was reported: it is passed over, and said so.
    assert second.resumed_from.step == 1
    assert not job.run.checkpoints.get(step=2).available
    assert RunEvent.objects.filter(
        run=job.run, kind="error", reason__contains="1 bytes, and 12 were saved"
    ).exists()
    until(lambda: "resumed from 1.bin at 1" in lines_of(job))


def test_each_resumption_is_a_branch_of_its_own_though_the_server_has_not_answered_yet(bench):
    """`branched` comes right after `init`, before any welcome: two attempts once took the same branch for theirs."""
    job = bench.python(
        """
        import hashlib, os, pathlib, scaleweb_sdk
        run = scaleweb_sdk.init()
        step = int(os.environ.get("SCALEWEB_RESUME_STEP", 0))
        if step:
            run.branched(step, "resume")
        path = pathlib.Path(os.environ["SCALEWEB_CHECKPOINT_DIR"]) / f"{step + 10}.bin"
        path.write_bytes(b"x")
        for each in range(step, step + 20):
            run.step({"loss": 1.0}, step=each)
        run.checkpointed(str(path), step + 10, size_bytes=1, sha256=hashlib.sha256(b"x").hexdigest())
        run.link.close(20)
        os._exit(0 if step == 20 else 1)
        """,
        max_retries=2,
    )
    run = bench.until_over(job).run
    assert [(branch["index"], branch["from_step"]) for branch in run.branches] == [(0, 0), (1, 10), (2, 20)]


def test_a_worker_that_is_started_again_adopts_what_runs(bench):
    job = bench.python(WAITS)
    training = bench.until_process(job)
    bench.until(lambda: bench.fresh(job).run.state == "running")
    bench.loop = bench.worker()
    bench.turn()
    assert training.alive()
    jobs.stop(bench.fresh(job), "ada")
    job = bench.until_over(job)
    assert (job.run.state, Attempt.objects.filter(job=job).count()) == ("stopped", 1)


def test_a_supervisor_that_is_killed_is_replaced_and_the_training_lives_on(bench):
    job = bench.python(WAITS)
    training = bench.until_process(job)
    bench.until(lambda: bench.fresh(job).run.state == "running" and "at work" in lines_of(job))
    attempt = bench.attempt(job)
    # What a supervisor has not noted as shipped may come twice.
    until(lambda: state_of(bench, attempt)["offsets"]["stdout"] > 0)
    supervisor = state_of(bench, attempt)["supervisor_pid"]
    os.kill(supervisor, signal.SIGKILL)
    bench.until(lambda: state_of(bench, attempt)["supervisor_pid"] != supervisor)
    assert training.alive()
    jobs.stop(bench.fresh(job), "ada")
    job = bench.until_over(job)
    # Nobody could take its exit code: what the script said last decides.
    assert (job.run.state, bench.attempt(job).exit_code) == ("stopped", None)
    assert lines_of(job).count("at work") == 1


def test_a_supervisor_that_cannot_be_written_down_does_not_run(bench, monkeypatch):
    """The disk is full: the attempt is said not to have started, so nothing of it may."""

    def full(path, data):
        if path.name == "supervisor.json":
            raise OSError(28, "No space left on device")
        write_json(path, data)

    of_others = list(local.children)  # an earlier test's supervisor may have last lines to send for a minute
    monkeypatch.setattr(local, "write_json", full)
    job = bench.until_over(bench.python("print('at work', flush=True)"))
    attempt = bench.attempt(job)
    assert (job.state, attempt.first_error_line) == ("failed", "[Errno 28] No space left on device")
    until(lambda: all(child.poll() is not None for child in local.children if child not in of_others))
    assert not (bench.local(attempt).folder / "stdout.log").exists()


def test_a_worker_that_died_before_it_started_the_process_costs_no_retry(bench):
    job = bench.python(TRAINS.format(steps=5))
    assert tasks.place_tick() == 1
    assert attempts.claim(bench.attempt(job))
    job = bench.until_over(job)
    first, second = Attempt.objects.filter(job=job).order_by("number")
    assert (first.outcome, second.outcome, job.state, job.retries_used) == ("lost", "finished", "done", 0)


def test_a_checkpoint_that_takes_long_to_check_costs_no_other_attempt_its_lease(bench, monkeypatch):
    other = bench.python(WAITS)
    bench.until_process(other)
    slow = threading.Event()
    monkeypatch.setattr(local, "build", lambda *about: slow.wait(60) and spec.build(*about))
    job = bench.python(TRAINS.format(steps=5))
    bench.until(lambda: (found := bench.attempt(job)) and found.state == "running")
    before = {
        pk: end for pk, end in Attempt.objects.filter(ended_at=None).values_list("pk", "lease_expires_at")
    }
    assert len(before) == 2
    bench.turn()
    for attempt in Attempt.objects.filter(pk__in=before):
        assert attempt.lease_expires_at > before[attempt.pk]
    slow.set()
    assert bench.until_over(job).state == "done"
    jobs.stop(bench.fresh(other), "ada")
    bench.until_over(other)


def test_an_attempt_with_a_damaged_folder_is_lost_and_the_other_goes_on(bench):
    damaged, well = bench.python(WAITS), bench.python(WAITS)
    bench.until(lambda: {bench.fresh(job).run.state for job in (damaged, well)} == {"running"})
    attempt = bench.attempt(damaged)
    folder, training = bench.local(attempt).folder, bench.local(attempt).training()
    # From then on its supervisor has nothing to note.
    until(lambda: state_of(bench, attempt)["offsets"]["stdout"] > 0)
    state = read_json(folder / "state.json")
    for name in ("state.json", "supervisor.json"):
        write_json(folder / name, {"pid": "unreadable", "supervisor_pid": None})
    # The run itself is lost for two seconds at most: the link still hears its process.
    bench.until(lambda: bench.attempt(damaged).outcome == "lost")
    assert bench.attempt(well).outcome == ""
    write_json(folder / "state.json", state)
    # Its folder is whole again: it was given up without anything in its place, so it may go on.
    bench.until(lambda: bench.attempt(damaged).outcome == "")
    assert (bench.fresh(damaged).state, bench.fresh(damaged).run.state) == ("active", "running")
    assert training.alive()
    for job in (damaged, well):
        jobs.stop(bench.fresh(job), "ada")
        assert bench.until_over(job).run.state == "stopped"
