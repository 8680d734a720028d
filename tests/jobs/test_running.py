"""Jobs from submission to their end, with real supervisors and real training processes over the real link."""

import os
import signal
import textwrap
import threading

import pytest

from monitoring.live import open_lines
from monitoring.storage import logs, series
from tests.support.wait import until
from training.jobs import attempts, local, node_loop, spec, tasks
from training.jobs import submit as jobs
from training.jobs.local import Local
from training.jobs.processes import Process, read_json, write_json
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


WAITS_FOR = """
    import pathlib, time
    print("at work", flush=True)
    while not pathlib.Path({gate!r}).exists():
        time.sleep(0.01)
    print(*range(50), sep="\\n", flush=True)
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
    assert attempt.first_error_line == (
        "the command 'no-such-program' was not found on node bench: no folder of its PATH has such a program; "
        "install it there, or name it by its path"
    )
    said = job.run.events.filter(reason=attempt.first_error_line).values_list("kind", flat=True)
    assert set(said) == {"attempt", "state"}, "the history says so too, not a number alone"
    until(lambda: attempt.first_error_line in lines_of(job))


def test_a_file_that_is_not_in_the_jobs_folder_is_named_with_it_and_torchruns_program_as_well(bench):
    jobs = [
        bench.job(["./train.sh"], max_retries=3),
        bench.job(["./train.sh"], launcher="torchrun", min_devices=2, max_devices=2, max_retries=3),
    ]
    for job in [bench.until_over(each) for each in jobs]:
        attempt = bench.attempt(job)
        assert (job.state, attempt.number, attempt.exit_code) == ("failed", 1, 127)
        folder = str(bench.local(attempt).folder / "work")
        assert attempt.first_error_line == (
            "the command './train.sh' was not found on node bench: there is no such file in the job's folder "
            f"{folder!r}; name one that is there, or send it along (--send)"
        )


@pytest.mark.parametrize(
    ("cwd", "why"), [("/proc/nowhere", "No such file or directory"), ("/etc/passwd", "Not a directory")]
)
def test_a_folder_that_cannot_be_entered_is_named(bench, cwd, why):
    job = bench.until_over(bench.job(["true"], cwd=cwd, max_retries=3))
    attempt = bench.attempt(job)
    assert (job.state, attempt.number) == ("failed", 1)
    assert attempt.first_error_line.startswith(
        f"the job's folder {cwd!r} cannot be entered on node bench: {why}; make it there, name one"
    )


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("#!/bin/sh\n", 0o644, "Permission denied; make it executable (chmod +x)"),
        (
            "#!/no/such/interpreter\n",
            0o755,
            "the interpreter that its first line names is not there; install it, or name one that is there",
        ),
        ("\x7fELF of another machine", 0o755, "Exec format error"),
    ],
)
def test_a_program_that_cannot_be_executed_fails_in_words(bench, tmp_path, text, mode, why):
    script = tmp_path / "train.sh"
    script.write_text(text)
    script.chmod(mode)
    job = bench.until_over(bench.job([str(script)], max_retries=3))
    attempt = bench.attempt(job)
    assert (job.state, attempt.number) == ("failed", 1)
    assert attempt.first_error_line == f"'{script}' cannot be started on node bench: {why}"


def test_an_argument_that_no_program_can_be_given_fails_in_words(bench):
    job = bench.until_over(bench.job(["true", "\ud800"], max_retries=3))
    attempt = bench.attempt(job)
    assert (job.state, attempt.number) == ("failed", 1)
    assert attempt.first_error_line.startswith("'true' cannot be started on node bench: ")


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


def state_of(bench, attempt):
    return read_json(bench.local(attempt).folder / "state.json")


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


def test_a_job_stopped_before_its_process_exists_is_stopped(bench):
    job = bench.python(WAITS)
    assert tasks.place_tick() == 1
    jobs.stop(bench.fresh(job), "ada")
    job = bench.until_over(job)
    assert (job.state, job.run.state, bench.attempt(job).outcome) == ("stopped", "stopped", "stopped")
    assert not bench.local(bench.attempt(job)).folder.exists()


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


def test_a_site_that_is_shut_down_queues_what_runs_and_leaves_what_has_just_finished(bench):
    runs, ends = bench.python(WAITS), bench.python(WAITS.replace("run.finish()", "run.finish('finished')"))
    bench.until(lambda: {bench.fresh(job).run.state for job in (runs, ends)} == {"running"})
    bench.loop.close(stop_jobs=True)
    assert {bench.fresh(runs).state, bench.fresh(runs).run.state} == {"queued"}
    assert bench.attempt(runs).outcome == "stopped"
    assert (bench.fresh(ends).state, bench.fresh(ends).run.state) == ("done", "finished")


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
