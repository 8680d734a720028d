"""The whole site as `make run` starts it, on a free port and a data folder of its own."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.support.tally import made
from tests.support.wait import until

TOP = Path(__file__).resolve().parents[2]


class RunningStack:
    """`start`, `stop`; `api` speaks to it as the admin; `kill` is kill -9 of one of its processes."""

    def __init__(self, home: Path | None = None, **environment: str) -> None:
        # Not pytest's folder: a socket's path may have 108 characters at most.
        self.folder = None if home else Path(tempfile.mkdtemp(prefix="sw-stack-"))
        self.home = home or self.folder / "home"  # type: ignore[operator]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        ours = re.compile("SCALEWEB_|DJANGO_|REDIS_|DATABASE_")
        kept = {name: value for name, value in os.environ.items() if not ours.match(name)}
        own = {"SCALEWEB_HOME": str(self.home), "PORT": str(self.port), "DEMO": "0"}
        self.environment = kept | own | environment
        self.process: subprocess.Popen[str] | None = None
        self.said = ""
        # Where another host than this machine runs it: its address, and what a command there begins with.
        self.address, self.within = "127.0.0.1", list[str]()

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def start(self, wait: bool = True) -> "RunningStack":
        self.session: httpx.Client | None = None
        self.output = self.home.parent / "stack.out"
        self.output.parent.mkdir(parents=True, exist_ok=True)
        with open(self.output, "w") as out:
            self.process = subprocess.Popen(
                [*self.within, sys.executable, "-m", "scaleweb.stack"], cwd=TOP, env=self.environment, stdout=out,
                stderr=subprocess.STDOUT, text=True, start_new_session=True,
            )  # fmt: skip
        if wait:
            until(lambda: "Stop: Ctrl-C" in self.printed() or self.process.poll() is not None, 60, every=0.05)
            assert self.process.poll() is None, self.printed()
        return self

    def printed(self) -> str:
        return self.output.read_text()

    def login_link(self) -> str:
        return re.findall(r"http\S+/login/once/\S+", self.printed())[-1]

    def login(self) -> httpx.Client:
        """A browser's session, by the printed link, which works once a start."""
        if self.session is not None:
            return self.session
        client = httpx.Client(base_url=self.url, follow_redirects=True, timeout=15)
        answer = client.get(self.login_link())
        assert answer.status_code == 200, answer.text
        client.headers.update({"Origin": self.url, "Referer": f"{self.url}/"})
        self.session = client
        return client

    def token(self) -> str:
        client = self.login()
        csrf = {"X-CSRFToken": client.cookies["csrftoken"]}
        return (
            client.post("/api/v1/tokens", json={"name": "test"}, headers=csrf)
            .raise_for_status()
            .json()["token"]
        )

    def api(self) -> "Api":
        return Api(self.url, self.token())

    def child(self, name: str) -> psutil.Process:
        """One of broker, web, control worker, node worker, beat: what the leash became."""
        marks = {
            "broker": "unixsocket", "web": "uvicorn", "control worker": "control@%h", "node worker": "-Q node.",
            "beat": "beat-schedule",
        }  # fmt: skip
        for process in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.Error):  # one that has just died
                if marks[name] in " ".join(process.cmdline()):
                    return process
        raise LookupError(f"the stack has no {name}")

    def kill(self, name: str) -> None:
        process = self.child(name)
        process.send_signal(signal.SIGKILL)
        made(f"kill -9 of {name}")
        until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 120) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout)

    def close(self) -> None:
        if self.process is not None:
            self.stop()
        # Whoever sets FAULTS_KEEP looks at what is left, and removes it.
        if self.folder is not None and not os.environ.get("FAULTS_KEEP"):
            shutil.rmtree(self.folder)


class Api:
    """The REST API as a person's script uses it; a web process or database that is away is asked again."""

    def __init__(self, url: str, token: str) -> None:
        self.client = httpx.Client(
            base_url=f"{url}/api/v1/", headers={"Authorization": f"Bearer {token}"}, timeout=15
        )

    def get(self, path: str) -> Any:
        return self.again("GET", path).json()

    def text(self, path: str) -> str:
        return self.again("GET", path).text

    def post(self, path: str, body: Any = None) -> Any:
        return self.again("POST", path, json=body or {}).json()

    def again(self, method: str, path: str, **fields: Any) -> httpx.Response:
        def ask() -> httpx.Response | None:
            try:
                answer = self.client.request(method, path, **fields)
            except httpx.TransportError:
                return None
            return None if method == "GET" and answer.status_code == 503 else answer

        answer = until(ask, 20, every=0.1)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer
