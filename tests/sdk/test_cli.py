"""The command `scaleweb` against the real site, as a person types it."""

import io
import json
import os
import re
import subprocess
import sys
import threading
import time

import pytest
from django.utils import timezone

import scaleweb_sdk
from monitoring import nodes
from monitoring.storage import series
from scaleweb_sdk.cli import main
from scaleweb_sdk.link import Link
from scaleweb_sdk.protocol import Batch, Column, Event, LogLine
from scaleweb_sdk.settings import config_path
from tests.support.domain import a_member, a_project, a_run, a_run_token, a_user
from tests.support.wait import until
from training.jobs import attempts, tasks
from training.models import ApiToken, Attempt, Checkpoint, Job, JobGroup, Rank, TokenKind

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, databases="__all__")]


@pytest.fixture
def project(transactional_db):
    return a_project("default")


@pytest.fixture
def logged_in(live_site, project, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("SCALEWEB_URL", "SCALEWEB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    token = ApiToken.issue(TokenKind.USER, user=a_member(project))[1]
    monkeypatch.setattr("sys.stdin", io.StringIO(token + "\n"))
    assert main(["login", live_site.url, "--token-stdin"]) == 0
    assert "as ada" in capsys.readouterr().out
    assert (tmp_path / "config/scaleweb/config.json").stat().st_mode & 0o077 == 0
    return live_site


@pytest.fixture
def say(capsys):
    """Runs a command; returns (exit code, what it printed, what it complained of)."""

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def training(logged_in, project, tmp_path, monkeypatch):
    """A run that trains in this process."""
    row = a_run(project)
    monkeypatch.setenv("SCALEWEB_RUN", row.code)
    run = scaleweb_sdk.init(url=logged_in.url, token=a_run_token(row), dir=tmp_path / "spool", capture=False)
    monkeypatch.delenv("SCALEWEB_RUN")
    run.tunable("lr", 0.1, low=0.001, high=1.0)
    run.step({"loss": 0.5})
    until(lambda: row.tunables.exists())
    yield row, run
    run.finish(timeout=5)


def test_submit_queues_what_follows_the_dashes(logged_in, say, tmp_path):
    code, said, _ = say(
        "submit", "--experiment", "digits", "--devices", "1-2", "--retries", 3, "--env", "A=b=c", "--tag", "x", "--cwd",
        tmp_path, "--", "python", "train.py", "--lr", "0.1",
    )  # fmt: skip
    job = Job.objects.get()
    assert code == 0
    assert job.code in said
    assert f"{logged_in.url}/runs/{job.run.code}" in said
    assert job.argv == ["python", "train.py", "--lr", "0.1"]
    assert (job.min_devices, job.max_devices, job.max_retries, job.env) == (1, 2, 3, {"A": "b=c"})
    assert (job.cwd, job.run.tags, job.run.experiment.name) == (str(tmp_path), ["x"], "digits")
    assert job.code in say("jobs")[1]
    # Both codes that it printed name the run.
    assert say("show", job.code)[1] == say("show", job.run.code)[1]
    assert say("logs", job.code)[0] == 0
    assert say("stop", job.code)[:2] == (0, "stopped\n")


def test_submit_takes_wishes_ranges_and_words_for_priorities(logged_in, say):
    code, _, wrong = say(
        "submit", "--experiment", "digits", "--gpus", "2..4", "--kind", "h100", "--priority", "high",
        "--memory", "1.5G",
        "--device-memory", "512M", "--label", "zone=a", "--deadline", "8h", "--", "python", "train.py",
    )  # fmt: skip
    assert code == 0, wrong
    job = Job.objects.get()
    assert (job.device_kind, job.device_name, job.min_devices, job.max_devices) == ("gpu", "h100", 2, 4)
    assert (job.priority, job.memory_bytes, job.device_memory_bytes) == (100, 3 * 2**29, 2**29)
    assert job.node_labels == {"zone": "a"}
    assert 7.9 < (job.deadline - job.submitted_at).total_seconds() / 3600 < 8.1
    say("submit", "--after", f"{job.run.code}:any", "--", "true")
    second = Job.objects.latest("id")
    assert second.dependencies.get().on == job
    assert say("after", second.code)[1] == f"job {second.code} waits for no other job\n"
    assert "circle" in say("after", second.code, second.code)[2]


def test_a_grid_is_submitted_listed_and_stopped_as_one(logged_in, say):
    code, said, _ = say(
        "submit", "--grid", "lr=1e-4,1e-3", "--grid", "seed=1,2", "--at-once", 3, "--", "python", "t.py"
    )
    group = JobGroup.objects.get()
    assert code == 0
    assert f"group {group.code}: 4 jobs" in said
    assert sorted(job.argv[2:] for job in group.jobs.all())[0] == ["--lr", "1e-3", "--seed", "1"]
    assert f"{group.code}  t     grid  4     4" in say("groups")[1]
    assert say("stop", group.code)[:2] == (0, f"4 jobs of group {group.code} are stopped or asked to stop\n")
    assert (
        "0-999999 is 1,000,000 jobs; at most 10,000" in say("submit", "--array", "0-999999", "--", "true")[2]
    )


def test_set_waits_for_the_answer_and_tells_it(say, training):
    row, run = training
    import threading

    steps = threading.Thread(
        target=lambda: until(lambda: run.step({"loss": 0.4}) or run.applied_seq >= 1, every=0.01)
    )
    steps.start()
    code, said, _ = say("set", row.code, "lr", "0.2", "--reason", "too slow")
    steps.join()
    assert code == 0
    assert "set lr applied at step" in said
    assert "0.1 -> 0.2" in said
    assert row.commands.get().reason == "too slow"


def test_a_verb_that_the_run_offers_is_asked_with_its_settings_and_its_answer_told(say, training):
    row, run = training
    import threading

    from scaleweb_sdk.tunables import declare

    seen = []

    def prune(value):
        seen.append(value)
        return {"outcome": "measured", "reason": "accuracy 0.9 → 0.8"}

    run.offer("prune", prune, parameters=[declare("amount", 0.3, low=0.0, high=1.0), declare("dry", False)])
    until(lambda: type(row).objects.get(pk=row.pk).offers)
    steps = threading.Thread(
        target=lambda: until(lambda: run.step({"loss": 0.4}) or run.applied_seq >= 1, every=0.01)
    )
    steps.start()
    code, said, _ = say("prune", row.code, "amount=0.5", "--dry")
    steps.join()
    assert code == 0
    assert "prune applied at step" in said
    assert "measured: accuracy 0.9 → 0.8" in said
    assert seen == [{"amount": 0.5, "dry": True}]
    assert "expected name=value" in say("prune", row.code, "half")[2]
    assert "outside 0..1" in say("prune", row.code, "amount=7")[2]


def test_what_the_site_refuses_is_told_in_its_words(say, training):
    row, _ = training
    code, _, complaint = say("set", row.code, "lr", "7")
    assert code == 1
    assert "0.001" in complaint
    assert "value" in complaint
    assert say("set", row.code, "speed", "7")[2].count("declares") >= 1
    code, _, complaint = say("show", "nosuchrun")
    assert (code, complaint.count("'nosuchrun' is no run or job that you may see")) == (1, 1)
    assert "'nosuchrun' is no run, job, grid or array that you may see" in say("stop", "nosuchrun")[2]
    assert (
        "priority: Expected a whole number from -1000 to 1000, got the number -5000."
        in say("submit", "--priority", "-5000", "--", "true")[2]
    )
    assert "expected NAME=VALUE" in say("submit", "--env", "A", "--", "true")[2]
    assert "what is to be run" in say("submit")[2]


def test_show_tells_where_the_ranks_are_and_which_of_them_the_others_wait_for(logged_in, say, project):
    run = a_run(project, state="running")
    assert "Ranks" not in say("show", run.code)[1], "a run of one process"
    steps, columns = list(range(60)), []
    for rank in range(3):
        Rank.objects.create(
            run=run, rank=rank, world_size=3, connected_at=timezone.now(),
            process={"hostname": f"host-{rank}", "device": "cpu", "pid": 100 + rank},
        )  # fmt: skip
        for key, seconds in (("_step_seconds", 0.2), ("_apart_seconds", 0.15 if rank == 2 else 0.05)):
            own = key if key == "_step_seconds" and rank == 0 else f"{key}/rank{rank}"
            columns.append(Column(own, steps, [1.7e9 + step for step in steps], [seconds] * 60))
    series.append(run.source, "s" * 32, [Batch(1, columns=columns)])
    said = say("show", run.code)[1]
    assert re.search(r"Ranks, of 3:\n.*\n0  host-0 +cpu +100 +200 +50\n", said)
    assert re.search(r"2  host-2 +cpu +102 +200 +150 +the others wait for it\n", said)
    assert "Rank 2 on host-2 cpu holds the others up by 100 ms, 50% of a step." in said


class Printed(io.StringIO):
    """What a command prints, to a terminal or to a file."""

    terminal = True

    def isatty(self) -> bool:
        return self.terminal

    @property
    def screen(self) -> list[str]:
        """What stands on a terminal that was sent this: of the codes those that `Bars` needs."""
        rows, at = [""], 0
        for piece in re.split(r"(\r|\n|\x1b\[2K|\x1b\[1A)", self.getvalue()):
            if piece == "\x1b[1A":
                at -= 1
                assert at >= 0, "above all that it had printed"
            elif piece == "\x1b[2K":
                rows[at] = ""
            elif piece == "\n":
                at += 1
                rows += [""] * (at == len(rows))
            elif piece != "\r":
                rows[at] += piece
        while len(rows) > at + 1 and not rows[-1]:
            rows.pop()
        return rows


@pytest.mark.parametrize("terminal", [True, False])
def test_who_follows_a_log_in_a_terminal_sees_the_bars_that_are_being_written(
    logged_in, project, tmp_path, terminal
):
    row = a_run(project)
    printed = Printed()
    printed.terminal = terminal
    # Given back at the end of the block, before `capsys` takes its own away.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", printed)
        patch.setattr("sys.stdout", printed)
        patch.setattr("scaleweb_sdk.cli.look.FOLLOW_EVERY_SECONDS", 0.05)
        patch.setenv("COLUMNS", "20")
        patch.setenv("TERM", "xterm")
        bars = [LogLine(time.time(), "stderr", "\x1b[32m10 %\x1b[0m" + "#" * 40)]
        link = Link(
            logged_in.url, a_run_token(row), row.source, spool_dir=tmp_path / "spool", flush_seconds=0.05,
            open_lines=lambda: list(bars), world_size=2,
        )  # fmt: skip
        codes: list[int] = []
        following = threading.Thread(target=lambda: codes.append(main(["logs", row.code, "--follow"])))
        try:
            link.send(lines=[LogLine(time.time(), "stdout", "begun")], now=True)
            following.start()
            until(lambda: printed.screen[0] == "begun")
            if terminal:
                until(lambda: printed.screen == ["begun", "rank 0: 10 %" + "#" * 7])
                bars[:] = [LogLine(time.time(), "stderr", "20 %"), LogLine(time.time(), "stdout", "学习" * 8)]
                until(lambda: printed.screen == ["begun", "rank 0: 20 %", "rank 0: 学习学习学"])
                bars[:] = [LogLine(time.time(), "stderr", "30 %")]
                until(lambda: printed.screen == ["begun", "rank 0: 30 %"])
            bars.clear()
            link.send(
                lines=[LogLine(time.time(), "stderr", "100 %")],
                events=[Event("finish", time.time(), None, {"state": "finished"})],
                now=True,
            )
        finally:
            assert link.close(timeout=30)
        following.join(60)
    assert codes == [0]
    assert printed.screen == ["begun", "100 %", f"run {row.code}: finished", ""]
    assert terminal or "\x1b" not in printed.getvalue()


def test_runs_show_logs_and_export(say, training):
    row, _ = training
    until(lambda: "loss" in say("runs")[1])
    said = say("show", row.code)[1]
    assert "lr                       0.1  0.001..1" in said
    assert "loss" in said
    point = json.loads(say("export", row.code, "--keys", "loss")[1].splitlines()[0])
    assert (point["key"], point["value"]) == ("loss", 0.5)
    assert say("export", row.code, "--format", "csv")[1].startswith("key,branch,step,time,value")
    assert say("logs", row.code)[0] == 0


def test_checkpoints_are_listed_pinned_forked_from_and_gone_on_from(logged_in, say):
    say("submit", "--experiment", "digits", "--", "python", "train.py")
    job = Job.objects.select_related("run").get()
    code = job.run.code
    old, _, gone = (
        Checkpoint.objects.create(
            run=job.run, step=step, path=f"/c/{step}", size_bytes=2**21, metrics={"loss": 0.5}
        )
        for step in (10, 20, 30)
    )
    Checkpoint.objects.filter(pk=gone.pk).update(available=False)
    say("stop", code)
    listed = say("checkpoints", job.code)[1].splitlines()[1:]
    assert [line.split()[0] for line in listed] == ["30", "20", "10"]
    assert ("gone" in listed[0], "2.0 MiB  loss 0.5" in listed[1]) == (True, True)
    assert (
        say("pin", code, 10)[1]
        == f"the checkpoint of step 10 of run {code} is kept whatever the keep rule says\n"
    )
    old.refresh_from_db()
    assert old.pinned
    assert "is left to the keep rule" in say("unpin", code, 10)[1]
    wrong = say("fork", code, 30)
    assert wrong[::2] == (1, f"scaleweb: run {code} has no checkpoint of step 30; it has 20, 10\n")
    assert say("fork", code, 20, "--env", "K=V", "--name", "beside")[0] == 0
    forked = Job.objects.select_related("run").latest("id")
    assert (forked.run.parent.code, forked.run.parent_step, forked.env, forked.run.name) == (
        code, 20, {"K": "V"}, "beside",
    )  # fmt: skip
    assert say("queue", "requeue", code, "--step", 10)[1] == f"job {job.code} is queued again\n"
    job.refresh_from_db()
    assert (job.state, job.start_from["checkpoint"]) == ("queued", old.pk)
    # Each attempt stands with the run.
    node = nodes.register("n1", {"hostname": "n1"}, [{"kind": "cpu", "index": 0}])
    Attempt.objects.create(
        job=job, number=1, node=node, state="ended", outcome="failed", exit_code=3, lease_expires_at=timezone.now(),
        ended_at=timezone.now(), first_error_line="ValueError: bad",
    )  # fmt: skip
    assert re.search(r"1  n1 .* failed   exit code 3: ValueError: bad", say("show", code)[1])


def test_why_a_job_failed_stands_in_its_row_and_with_its_run(logged_in, say):
    say("submit", "--experiment", "digits", "--", "no-such-program")
    nodes.register("n1", {"hostname": "n1"}, [{"kind": "cpu", "index": 0}])
    tasks.place_tick()
    attempt = Attempt.objects.get()
    why = "the command 'no-such-program' was not found on node n1"
    attempts.end(attempt.pk, "failed", why, exit_code=127, first_error_line=why, again=False)
    assert f"exit code 127: {why}\n" in say("jobs")[1]
    assert f"\nwhy              {why}\n" in say("show", attempt.job.code)[1]


def test_a_node_is_cordoned_drained_and_opened_again(logged_in, say, monkeypatch):
    nodes.register("n1", {"hostname": "n1"}, [{"kind": "cpu", "index": index} for index in range(2)])
    assert "admin" in say("node", "cordon", "n1")[2]
    root = a_user("root", is_superuser=True)
    monkeypatch.setenv("SCALEWEB_URL", logged_in.url)
    monkeypatch.setenv("SCALEWEB_TOKEN", ApiToken.issue(TokenKind.USER, user=root)[1])
    assert say("node", "cordon", "n1")[1] == "n1 takes nothing new; what runs on it goes on\n"
    assert "n1    online  cordoned  2 cpu    0" in say("node", "list")[1]
    assert "n1 takes nothing new; 0 jobs on it leave at a checkpoint" in say("node", "drain", "n1")[1]
    assert "draining" in say("node", "list")[1]
    assert say("node", "uncordon", "n1")[1] == "n1 takes jobs again\n"
    assert say("node", "label", "n1")[1] == "n1 has no labels\n"
    assert say("node", "label", "n1", "zone=a", "gpu-type=h100")[1] == "gpu-type=h100\nzone=a\n"
    assert say("node", "label", "n1", "zone=")[1] == "gpu-type=h100\n"
    assert "expected NAME=VALUE" in say("node", "label", "n1", "zone")[2]
    assert "there is no node 'n9'" in say("node", "label", "n9", "zone=a")[2]
    assert "there is no node 'n9'; `scaleweb node list`" in say("node", "drain", "n9")[2]


def test_a_site_that_is_away_is_a_sentence(say, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("SCALEWEB_URL", "http://127.0.0.1:9")
    assert "scaleweb login" in say("runs")[2]
    monkeypatch.setenv("SCALEWEB_TOKEN", "x")
    code, _, complaint = say("runs")
    assert code == 1
    assert "http://127.0.0.1:9 does not answer" in complaint


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("submit", "--devices", "4-1", "--", "true"), "the smaller number first"),
        (("submit", "--devices", "0", "--", "true"), "at least 1"),
        (("submit", "--devices", "many", "--", "true"), "a number or a range"),
        (("sync", "no-such-folder"), "there is no folder no-such-folder"),
        (("login", "127.0.0.1:8000", "--token-stdin"), "expected one such as http://127.0.0.1:8000"),
        (("login", "http://127.0.0.1:9", "--token-stdin"), "does not answer"),
    ],
)
def test_what_cannot_be_is_a_sentence_and_no_traceback(say, tmp_path, monkeypatch, words, said):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("sys.stdin", io.StringIO("sw_user_x\n"))
    code, _, complaint = say(*words)
    assert code == 1
    assert said in complaint
    assert complaint.startswith("scaleweb: ")
    assert len(complaint.splitlines()) == 1


def test_a_login_takes_a_token_that_is_piped_in_and_says_where_none_came(logged_in, say, monkeypatch):
    token = json.loads(config_path().read_text())["token"]
    config_path().unlink()
    for given, code, said in ((token + "\n", 0, "as ada"), ("", 1, f"make one at {logged_in.url}/settings")):
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        answer = say("login", logged_in.url)
        assert answer[0] == code
        assert said in answer[1] + answer[2]


def test_a_site_that_is_another_program_is_named_as_such(say, tmp_path, monkeypatch):
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_):
            pass

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("SCALEWEB_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("SCALEWEB_TOKEN", "sw_user_x")
        code, _, complaint = say("runs")
        server.shutdown()
        thread.join()
    assert code == 1
    assert "not as ScaleWeb does" in complaint


def test_an_export_of_no_run_says_why_and_a_reader_that_goes_is_no_error(say, training):
    row, run = training
    code, _, complaint = say("export", "nosuchrun")
    assert code == 1
    assert "'nosuchrun' is no run or job that you may see" in complaint
    for step in range(20_000):
        run.log({"loss": float(step)}, step=step)
    run.link.flush()
    until(lambda: say("export", row.code, "--keys", "loss")[1].count("\n") > 20_000)
    done = subprocess.run(
        f"{sys.executable} -m scaleweb_sdk export {row.code} | head -1", shell=True, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": os.getcwd()}, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    assert json.loads(done.stdout)["key"]
