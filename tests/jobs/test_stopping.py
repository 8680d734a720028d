"""A job that is stopped, in its own way or by force, with all that it started."""

import pytest

from tests.jobs.scripts import WAITS, lines_of
from tests.support.wait import until
from training.jobs import submit as jobs
from training.jobs import tasks
from training.jobs.processes import Process

pytestmark = [pytest.mark.processes, pytest.mark.django_db(databases="__all__", transaction=True)]


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


def test_what_left_the_process_group_is_ended_with_the_job(bench):
    job = bench.python("""
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        print("child", child.pid, flush=True)
    """)
    job = bench.until_over(job)
    assert job.state == "done"
    child = until(lambda: [int(line.split()[1]) for line in lines_of(job) if line.startswith("child ")])[0]
    assert Process.of(child) is None or not Process.of(child).alive()


def test_a_job_stopped_before_its_process_exists_is_stopped(bench):
    job = bench.python(WAITS)
    assert tasks.place_tick() == 1
    jobs.stop(bench.fresh(job), "ada")
    job = bench.until_over(job)
    assert (job.state, job.run.state, bench.attempt(job).outcome) == ("stopped", "stopped", "stopped")
    assert not bench.local(bench.attempt(job)).folder.exists()


def test_a_site_that_is_shut_down_queues_what_runs_and_leaves_what_has_just_finished(bench):
    runs, ends = bench.python(WAITS), bench.python(WAITS.replace("run.finish()", "run.finish('finished')"))
    bench.until(lambda: {bench.fresh(job).run.state for job in (runs, ends)} == {"running"})
    bench.loop.close(stop_jobs=True)
    assert {bench.fresh(runs).state, bench.fresh(runs).run.state} == {"queued"}
    assert bench.attempt(runs).outcome == "stopped"
    assert (bench.fresh(ends).state, bench.fresh(ends).run.state) == ("done", "finished")
