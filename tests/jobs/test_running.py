"""Jobs from submission to their end, with real supervisors and real training processes over the real link."""

import pytest

from monitoring.live import open_lines
from monitoring.storage import logs, series
from tests.jobs.scripts import TRAINS, WAITS, lines_of
from tests.support.wait import until
from training.jobs import node_loop
from training.jobs import submit as jobs
from training.models import DeviceLease, RunEvent

pytestmark = [pytest.mark.processes, pytest.mark.django_db(databases="__all__", transaction=True)]


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


def test_the_job_gets_no_open_file_of_the_worker(bench):
    job = bench.python("import os; print('open', sorted(map(int, os.listdir('/proc/self/fd'))))")
    bench.until_over(job)
    # The fourth is the folder that is being listed.
    until(lambda: "open [0, 1, 2, 3]" in lines_of(job))


def test_a_bar_of_a_job_is_seen_before_its_line_ends_and_stored_once_it_has(bench, tmp_path):
    gate = tmp_path / "gate"
    job = bench.python(
        f"""
        import pathlib, sys, time
        step = 0
        while not pathlib.Path({str(gate)!r}).exists():
            step += 1
            sys.stderr.write(f"\\rstep {{step:6}}"); sys.stderr.flush()
            time.sleep(0.01)
        sys.stderr.write("\\rover\\n")
        """
    )

    def bar() -> list[str]:
        return [text for each in open_lines.standing(job.run.source) for _, _, text in each["lines"]]

    [first] = bench.until(bar)
    bench.until(lambda: bar() > [first])
    assert lines_of(job) == []
    gate.touch()
    assert bench.until_over(job).state == "done"
    until(lambda: (lines_of(job), bar()) == (["over"], []))


def test_a_script_without_the_sdk_is_running_as_soon_as_it_may_be_assumed(bench, monkeypatch):
    monkeypatch.setattr(node_loop, "SPEAKS_WITHIN_SECONDS", 0.0)
    job = bench.job(["sleep", "600"])
    bench.until(lambda: bench.fresh(job).run.state == "running")
    jobs.stop(bench.fresh(job), "ada")
    assert bench.until_over(job).run.state == "stopped"


def test_a_flood_of_output_is_bounded_on_disk_and_does_not_hold_up_the_end(bench):
    job = bench.job(
        ["/bin/sh", "-c", "yes a line of a flood | head -c 300000000; echo the reason >&2; exit 3"]
    )
    job = bench.until_over(job)
    attempt = bench.attempt(job)
    assert (job.state, attempt.exit_code, attempt.first_error_line) == ("failed", 3, "the reason")
    log = bench.local(attempt).folder / "stdout.log"
    assert log.stat().st_size == 300_000_000
    until(lambda: log.stat().st_blocks * 512 < 40 * 2**20)
    until(lambda: logs.read(job.run.source, search="printed faster than they can be kept").lines, 20)


def test_two_slots_run_two_jobs_and_the_third_waits_with_a_reason(bench):
    first, second, third = (bench.python(WAITS) for _ in range(3))
    for job in (first, second):
        bench.until_process(job)
    third = bench.fresh(third)
    assert (third.state, third.waiting_reason) == (
        "queued",
        "waits for 1 CPU slot: none is free",
    )
    jobs.stop(bench.fresh(first), "ada")
    assert bench.until_over(first).state == "stopped"
    bench.until(lambda: bench.fresh(third).state == "active")
    jobs.stop(third, "ada")
    jobs.stop(second, "ada")
    assert {bench.until_over(job).run.state for job in (second, third)} == {"stopped"}
