"""What a process printed or measured, and its end, come though nobody was there to hear them."""

import os
import signal
import textwrap

import pytest

from monitoring.storage import series
from tests.jobs.scripts import WAITS_FOR, lines_of, state_of
from tests.support.wait import until
from training.jobs import attempts, local, node_loop
from training.jobs.local import Local
from training.jobs.processes import Process

pytestmark = [pytest.mark.processes, pytest.mark.django_db(databases="__all__", transaction=True)]


def test_what_a_process_printed_after_its_supervisor_died_is_sent_though_nobody_saw_it_end(bench, tmp_path):
    gate = tmp_path / "gate"
    job = bench.python(WAITS_FOR.format(gate=str(gate)))
    training = bench.until_process(job)
    attempt = bench.attempt(job)
    bench.until(lambda: "at work" in lines_of(job))
    until(lambda: state_of(bench, attempt)["offsets"]["stdout"] > 0)
    os.kill(state_of(bench, attempt)["supervisor_pid"], signal.SIGKILL)
    gate.touch()
    until(lambda: not training.alive())
    bench.until(lambda: bench.attempt(job).outcome == "lost")
    # The supervisor sends them after it has written down the end.
    until(lambda: lines_of(job)[-1] == "49")
    assert lines_of(job) == ["at work", *map(str, range(50))]
    until(lambda: not bench.local(attempt).supervised())


def test_lines_that_nobody_had_read_come_though_the_attempt_was_given_up_before_its_worker_was_back(
    bench, monkeypatch, tmp_path
):
    """Its supervisor was killed while the worker was away, and it ended before that was back: nobody looked again."""
    monkeypatch.setattr(node_loop, "HAND_IN_EVERY_SECONDS", 0.0)
    gate = tmp_path / "gate"
    job = bench.python(WAITS_FOR.format(gate=str(gate)))
    training = bench.until_process(job)
    attempt = bench.attempt(job)
    bench.until(lambda: "at work" in lines_of(job))
    until(lambda: state_of(bench, attempt)["offsets"]["stdout"] > 0)
    supervisor = Process.told(state_of(bench, attempt), "supervisor_")
    os.kill(supervisor.pid, signal.SIGKILL)
    gate.touch()
    until(lambda: not training.alive() and not supervisor.alive())
    attempts.end(attempt.pk, "lost", "nothing was heard from the worker of bench for 10 s")
    bench.until(lambda: lines_of(job)[-1] == "49")
    assert lines_of(job) == ["at work", *map(str, range(50))]
    bench.until(lambda: not bench.local(attempt).supervised() and Local.all_unsent() == [])


def test_what_a_process_printed_before_it_failed_comes_though_the_next_attempt_has_begun_by_then(
    bench, live_site, tmp_path
):
    """The reason of a failure is in its last lines; the server was away for them, and the retry began meanwhile."""
    gate = tmp_path / "gate"
    first = "import os\nif os.environ['SCALEWEB_ATTEMPT'] == '2': print('again'), exit(0)\n"
    job = bench.python(f"{first}{textwrap.dedent(WAITS_FOR).format(gate=str(gate))}\nexit(3)", max_retries=1)
    bench.until(lambda: "at work" in lines_of(job))
    live_site.stop()
    gate.touch()
    assert bench.until_over(job).state == "done"
    live_site.start()
    until(lambda: "again" in lines_of(job) and "49" in lines_of(job))
    assert sorted(lines_of(job)) == sorted(["at work", "again", *map(str, range(50))])


def test_a_job_that_finished_while_its_worker_was_not_heard_is_done_once_the_worker_is_back(bench, tmp_path):
    gate = tmp_path / "gate"
    job = bench.python(WAITS_FOR.format(gate=str(gate)))
    bench.until_process(job)
    attempt = bench.attempt(job)
    attempts.end(attempt.pk, "lost", "nothing was heard from the worker of bench for 10 s")
    gate.touch()
    until(lambda: bench.local(attempt).status() is local.Status.ENDED)
    assert bench.fresh(job).state == "failed"
    bench.worker().look()
    job, attempt = bench.fresh(job), bench.attempt(job)
    assert (job.state, job.run.state, attempt.outcome, attempt.exit_code) == (
        "done",
        "finished",
        "finished",
        0,
    )


def test_what_a_job_could_not_send_at_its_end_is_sent_when_the_server_is_back(
    bench, live_site, monkeypatch, tmp_path
):
    monkeypatch.setattr(node_loop, "HAND_IN_EVERY_SECONDS", 0.0)
    job = bench.python(f"""
        import pathlib, scaleweb_sdk, time
        run = scaleweb_sdk.init()
        while not pathlib.Path({str(tmp_path / "end")!r}).exists():
            run.step({{"loss": 1.0}})
            time.sleep(0.01)
        for _ in range(100):
            run.step({{"last": 2.0}})
        print("the last line")
        run.finish(timeout=0.1)
    """)
    bench.until(lambda: bench.fresh(job).run.state == "running")
    live_site.stop()
    (tmp_path / "end").touch()
    job = bench.until_over(job)
    assert (job.state, job.run.state) == ("done", "finished")
    assert "the last line" not in lines_of(job)
    # Its supervisor still tries; it ends as the site does, and a later worker takes over.
    for supervisor in bench.local(bench.attempt(job)).supervisors():
        supervisor.signal_group(signal.SIGTERM)
    live_site.start()
    bench.until(lambda: "the last line" in lines_of(job))
    bench.until(lambda: [info.points for info in series.keys(job.run.source) if info.key == "last"] == [100])
    assert bench.fresh(job).run.state == "finished"
    bench.until(lambda: not bench.local(bench.attempt(job)).supervised())
    assert Local.all_unsent() == []


def test_what_an_attempt_left_unsent_is_sent_though_the_next_one_has_begun(
    bench, live_site, monkeypatch, tmp_path
):
    monkeypatch.setattr(node_loop, "HAND_IN_EVERY_SECONDS", 0.0)
    job = bench.python(
        f"""
        import os, pathlib, sys, time, scaleweb_sdk
        attempt = os.environ["SCALEWEB_ATTEMPT"]
        run = scaleweb_sdk.init()
        print("attempt", attempt, "is at work", flush=True)
        while not pathlib.Path({str(tmp_path)!r}, attempt).exists():
            time.sleep(0.01)
        for _ in range(100):
            run.step({{"of attempt " + attempt: 2.0}})
        print("the last line of attempt", attempt)
        run.finish("failed" if attempt == "1" else "finished", timeout=0.1)
        sys.exit(attempt == "1")
    """,
        max_retries=1,
    )
    bench.until(lambda: "attempt 1 is at work" in lines_of(job))
    first = bench.attempt(job)
    live_site.stop()
    (tmp_path / "1").touch()
    bench.until(lambda: (attempt := bench.attempt(job)).number == 2 and bench.local(attempt).training())
    for supervisor in bench.local(first).supervisors():
        supervisor.signal_group(signal.SIGTERM)
    live_site.start()
    points = lambda: {info.key: info.points for info in series.keys(job.run.source)}  # noqa: E731
    bench.until(lambda: "the last line of attempt 1" in lines_of(job) and points().get("of attempt 1") == 100)
    assert bench.fresh(job).run.state in {"queued", "starting", "running"}
    (tmp_path / "2").touch()
    job = bench.until_over(job)
    assert (job.state, job.run.state) == ("done", "finished")
    bench.until(lambda: "the last line of attempt 2" in lines_of(job) and points()["of attempt 2"] == 100)
    assert not (bench.local(first).folder / "refused.json").exists()
