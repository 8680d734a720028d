"""What a tool must offer to be measured: one small class a tool, run in that tool's own environment.

Standard library only, as nothing of ours is installed there. `work.py` measures through this and knows no tool.
"""

import http.client
import json
import os
import sys
import time
import urllib.parse
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

KEYS = ("loss", "lr", "grad_norm", "accuracy", "speed")
CONFIG = {"lr": 0.1, "batch_size": 32, "optimizer": "adam"}


class Logger:
    """A run being logged, as a training script holds it."""

    @property
    def id(self) -> str:
        """By which the server knows the run; may wait for it."""
        return self.name

    def __init__(self, name: str):
        self.name = name

    def log(self, values: dict[str, float], step: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """End the run as a script does; what was logged is handed over when this returns."""
        raise NotImplementedError


class Driver:
    """One tool. `folder` holds all that it writes, `port` is its server's."""

    name: ClassVar[str]
    tidy_seconds: ClassVar[int] = 5  # until what it does in the background is done
    can_be_watched: ClassVar[bool] = False  # whether its page is told of new points; else pages ask
    note: ClassVar[str] = ""  # what a reader of the figures must know

    def __init__(self, folder: Path, port: int):
        self.folder, self.port = folder, port
        self.server = Http(port)
        self.logging: dict[str, str] = {}  # environment of what logs, once the server is ready
        self.start_seconds = 0.0  # until the server answered

    def environment(self) -> dict[str, str]:
        """For the server and for what logs: the data folder, no telemetry, no network."""
        return {}

    def command(self) -> list[str]:
        """The server's argv, with its defaults wherever they do."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    def prepared(self) -> dict[str, str]:
        """Once the server is ready: what loggers need besides."""
        return {}

    def open(self, name: str) -> Logger:
        raise NotImplementedError

    def readable(self, run: str, keys: Sequence[str] = KEYS) -> int:
        """Steps of the run that its server's API tells of, least over the keys."""
        raise NotImplementedError

    def watched(self, run: str) -> AbstractContextManager[Any]:
        """As if the run's page were open."""
        raise NotImplementedError

    def chart(self, run: str, key: str, width: int) -> int:
        """Read a chart as the tool's page does; the number of points that came."""
        raise NotImplementedError

    def fill_runs(self, count: int) -> int:
        """Make so many runs of one step, or as many as a minute and a half take; how many there are then."""
        end = time.monotonic() + 90
        for number in range(count):
            if time.monotonic() > end:
                return number
            logger = self.open(f"listed {number}")
            logger.log(dict.fromkeys(KEYS, number / 7), 0)
            logger.close()
        return count

    def list_runs(self, count: int) -> int:
        """Read a list of runs' names, or the least of runs that the tool tells; how many came."""
        raise NotImplementedError

    def list_values(self, count: int) -> int:
        """The same with the newest values of KEYS. NotImplementedError where that takes a request a run."""
        raise NotImplementedError


class Http:
    """The tool's server over one kept connection."""

    def __init__(self, port: int):
        self.port = port
        self.headers: dict[str, str] = {}
        self.connection: http.client.HTTPConnection | None = None

    def get(self, path: str, **query: Any) -> bytes:
        return self.ask("GET", f"{path}?{urllib.parse.urlencode(query, doseq=True)}" if query else path)

    def post(self, path: str, body: Any) -> bytes:
        return self.ask("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        """The answer's body. Raises OSError for a refusal or a server that is away."""
        kept = self.connection is not None
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            self.connection.request(method, path, body, self.headers | (headers or {}))
            answer = self.connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.connection = None
            if kept:  # the server had closed it for its silence
                return self.ask(method, path, body, headers)
            raise OSError(f"{method} {path}: {error}") from error
        if answer.status >= 400:
            raise OSError(f"{method} {path}: {answer.status} {told[:300]!r}")
        return told


def python() -> str:
    return sys.executable


def offline() -> dict[str, str]:
    """Nothing leaves the machine, whatever a tool would like to tell."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SCALEWEB_")},
        **proxies, "no_proxy": "127.0.0.1,localhost", "NO_PROXY": "127.0.0.1,localhost",
        "DO_NOT_TRACK": "true", "BROWSER": "true",
    }  # fmt: skip
