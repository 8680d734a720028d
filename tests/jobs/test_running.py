"""Jobs from submission to their end, with real supervisors and real training processes over the real link."""

import os
import signal

import pytest

from monitoring.storage import logs, series
from tests.support.wait import until
from training.jobs import submit as jobs
from training.jobs.processes import Process, read_json
from training.models import Attempt, DeviceLease, RunEvent

pytestmark = [pytest.mark.processes, pytest.mark.django_db(databases="__all__", transaction=True)]

TRAINS = """
    import scaleweb_sdk
    run = scaleweb_sdk.init()
    for step in range({steps}):
        run.step({{"loss": 1.0 / (1 + step)}})
    print("trained")
    run.finish()
"""
WAITS = """
    import scaleweb_sdk, time
    run = scaleweb_sdk.init()
    print("at work", flush=True)
    while not run.should_stop:
        run.step({"loss": 1.0})
        time.sleep(0.01)
    run.finish()
"""


def lines_of(job):
    return [text for _, _, text in logs.read(job.run.source).lines]


def test_a_job_trains_is_seen_and_ends(bench):
    job = bench.python(TRAINS.format(steps=50))
    assert job.state == "queued"
    job = bench.until_over(job)
    attempt = bench.attempt(job)
    assert (job.state, job.run.state, attempt.outcome, attempt.exit_code) == (
        "done",
        "finished",
        "finished",
        0,
    )
    assert [info.points for info in series.keys(job.run.source) if info.key == "loss"] == [50]
    until(lambda: "trained" in lines_of(job))
    assert not DeviceLease.objects.exists()
    assert bench.local(attempt).exit()["first_error_line"] == ""


def test_a_script_without_the_sdk_runs_as_well(bench):
    job = bench.until_over(bench.job(["/bin/sh", "-c", "echo out; echo err >&2; exit 0"]))
    assert (job.state, job.run.state) == ("done", "finished")
    until(lambda: sorted(lines_of(job)) == ["err", "out"])
    streams = {text: stream for _, stream, text in logs.read(job.run.source).lines}
    assert streams == {"out": "stdout", "err": "stderr"}


def test_a_command_that_does_not_exist_fails_in_words_and_is_not_tried_again(bench):
    job = bench.until_over(bench.job(["no-such-program", "--x"], max_retries=3))
    attempt = bench.attempt(job)
    assert (job.state, job.run.state, attempt.number, attempt.exit_code) == ("failed", "failed", 1, 127)
    assert attempt.first_error_line == "cannot start 'no-such-program': No such file or directory"
    until(lambda: attempt.first_error_line in lines_of(job))


def test_a_folder_that_does_not_exist_is_named(bench):
    job = bench.until_over(bench.job(["true"], cwd="/proc/nowhere"))
    assert job.state == "failed"
    assert "/proc/nowhere" in bench.attempt(job).first_error_line


def test_the_line_of_the_exception_is_what_a_failed_attempt_shows(bench):
    job = bench.python("""
        import sys
        print("an error that was handled", file=sys.stderr)
        def train():
            raise ValueError("labels go up to 11, and there are 10 classes")
        train()
    """)
    job = bench.until_over(job)
    attempt = bench.attempt(job)
    assert (job.state, attempt.exit_code) == ("failed", 1)
    assert attempt.first_error_line == "ValueError: labels go up to 11, and there are 10 classes"
    event = RunEvent.objects.get(run=job.run, kind="attempt")
    assert event.data["first_error_line"] == attempt.first_error_line


def test_the_job_gets_its_own_keys_and_none_of_the_sites(bench, monkeypatch):
    for name in (
        "REDIS_URL",
        "DATABASE_URL",
        "SCALEWEB_SECRET_KEY",
        "SCALEWEB_HOME",
        "CELERY_BROKER_URL",
        "PGPASSWORD",
    ):
        monkeypatch.setenv(name, "hidden")
    job = bench.python(
        "import os\nfor n, v in sorted(os.environ.items()): print(n + '=' + v)", env={"MINE": "yes"}, min_devices=2,
        max_devices=2,
    )  # fmt: skip
    job = bench.until_over(job)
    until(lambda: any(line.startswith("SCALEWEB_URL=") for line in lines_of(job)))
    given = dict(line.split("=", 1) for line in lines_of(job) if "=" in line)
    assert "hidden" not in given.values()
    assert given["SCALEWEB_RUN"] == job.run.code
    assert given["SCALEWEB_ATTEMPT"] == "1"
    assert given["SCALEWEB_TOKEN"].startswith("sw_run_")
    assert (given["MINE"], given["OMP_NUM_THREADS"], given["CUDA_VISIBLE_DEVICES"]) == ("yes", "2", "")


def test_two_slots_run_two_jobs_and_the_third_waits_with_a_reason(bench):
    first, second, third = (bench.python(WAITS) for _ in range(3))
    for job in (first, second):
        bench.until_process(job)
    third = bench.fresh(third)
    assert (third.state, third.waiting_reason) == (
        "queued",
        "waits for 1 CPU slot: at most 0 free on one node, others run",
    )
    jobs.stop(bench.fresh(first), "ada")
    assert bench.until_over(first).state == "stopped"
    bench.until(lambda: bench.fresh(third).state == "active")
    jobs.stop(third, "ada")
    jobs.stop(second, "ada")
    assert {bench.until_over(job).run.state for job in (second, third)} == {"stopped"}


def test_stop_is_a_command_first_and_the_script_ends_in_its_own_way(bench):
    job = bench.python(WAITS)
    bench.until(lambda: bench.fresh(job).run.state == "running")
    jobs.stop(bench.fresh(job), "ada")
    job = bench.until_over(job)
    attempt = bench.attempt(job)
    assert (job.state, job.run.state, attempt.outcome, attempt.exit_code, attempt.signal) == (
        "stopped", "stopped", "stopped", 0, "",
    )  # fmt: skip


def test_a_process_that_does_not_listen_is_signalled_then_killed_with_all_it_started(bench):
    job = bench.python("""
        import os, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", deaf])
        print("child", child.pid, flush=True)
        time.sleep(600)
    """)
    training = bench.until_process(job)
    child = until(lambda: [int(line.split()[1]) for line in lines_of(job) if line.startswith("child ")])[0]
    jobs.stop(bench.fresh(job), "ada")
    job = bench.until_over(job)
    assert (job.state, bench.attempt(job).signal) == ("stopped", "SIGKILL")
    assert not training.alive()
    until(lambda: Process.of(child) is None or not Process.of(child).alive())


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


def state_of(bench, attempt):
    return read_json(bench.local(attempt).folder / "state.json")
