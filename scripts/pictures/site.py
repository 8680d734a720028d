"""The whole of ScaleWeb on a folder that goes away again."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

TOP = Path(__file__).resolve().parents[2]
LINK = re.compile(r"http\S+/login/once/\S+")
START_SECONDS = 120


@dataclass
class Site:
    url: str
    home: Path
    client: httpx.Client
    trainings: list[subprocess.Popen[bytes]] = field(default_factory=list)
    token: str = ""

    def get(self, path: str) -> Any:
        answer = self.client.get(f"/api/v1/{path}")
        answer.raise_for_status()
        return answer.json()

    def send(self, method: str, path: str, body: dict[str, Any]) -> Any:
        answer = self.client.request(method, f"/api/v1/{path}", json=body)
        if answer.is_error:
            raise SystemExit(f"{method} {path} was refused with {answer.status_code}: {answer.text[:500]}")
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        return self.send("POST", path, body)

    def cookies(self) -> list[dict[str, str]]:
        return [
            {"name": name, "value": value, "url": self.url} for name, value in self.client.cookies.items()
        ]


def until(look: Callable[[], Any], what: str, seconds: float = START_SECONDS) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.5)
    raise SystemExit(f"{what} did not come about in {seconds:.0f} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def a_site(home: Path) -> Iterator[Site]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # One slot: the first job runs, the others wait, and a page of the queue has something to show.
    environment = os.environ | {"SCALEWEB_HOME": str(home), "SCALEWEB_CPU_SLOTS": "1", "OMP_NUM_THREADS": "1"}
    # For jobs that say "python": a picture shows commands, and a path of this machine is nobody's business.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    said = home / "site.log"
    with said.open("wb") as out:
        stack = subprocess.Popen(
            [sys.executable, "-m", "scaleweb.stack", "--port", str(port), "--no-demo"],
            cwd=TOP, env=environment, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    site = Site(url, home, httpx.Client(base_url=url, follow_redirects=True, timeout=60))
    try:
        link = until(
            lambda: stack.poll() is not None or LINK.search(said.read_text()), "the site's login link"
        )
        if not isinstance(link, re.Match):
            raise SystemExit(f"the site did not start:\n{said.read_text()[-2000:]}")
        site.client.get(link.group())
        site.client.headers.update({"Origin": url, "X-CSRFToken": site.client.cookies["csrftoken"]})
        site.token = site.post("tokens", name="laptop")["token"]
        yield site
    finally:
        for each in site.trainings:
            each.terminate()
        for each in site.trainings:
            each.wait(30)
        stop_jobs(site)
        stack.send_signal(signal.SIGTERM)
        stack.wait(60)


def stop_jobs(site: Site) -> None:
    """A job outlives the site by design; these must not."""
    try:
        jobs = [job for job in site.get("jobs?limit=100")["results"] if not job["ended_at"]]
        # Those that wait first, lest one of them take the place of what ends.
        for job in sorted(jobs, key=lambda each: each["state"] != "queued"):
            site.client.post(f"/api/v1/jobs/{job['code']}/stop", json={})
        until(
            lambda: all(job["ended_at"] for job in site.get("jobs?limit=100")["results"]),
            "the end of the jobs",
            60,
        )
    except (httpx.HTTPError, SystemExit) as error:
        print(f"the jobs could not be stopped: {error}", file=sys.stderr)
