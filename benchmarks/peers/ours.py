"""ScaleWeb as `make run` starts it: all five processes, SQLite; logs through the SDK over the link."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.peers.driver import CONFIG, KEYS, Driver, Logger, python

PROJECT = "default"


class SdkLogger(Logger):
    def __init__(self, name: str):
        import scaleweb_sdk

        super().__init__(name)
        self.run = scaleweb_sdk.init(experiment="bench", name=name, config=CONFIG, capture=False)

    @property
    def id(self) -> str:
        # The server gives it while training goes on; a run that ends at once would end before it began.
        end = time.monotonic() + 20
        while not self.run.code and time.monotonic() < end:
            time.sleep(0.005)
        return self.run.code

    def log(self, values: dict[str, float], step: int) -> None:
        self.run.log(values, step=step)

    def close(self) -> None:
        if not self.id or not self.run.finish(timeout=60):
            raise OSError("the server did not take everything within 60 s")


class Ours(Driver):
    name = "scaleweb"
    can_be_watched = True
    tidy_seconds = 80  # compaction lets a run's last batches gather for a minute

    def environment(self) -> dict[str, str]:
        return {
            "SCALEWEB_HOME": str(self.folder / "data"),
            "PORT": str(self.port),
            "DEMO": "0",
            "SCALEWEB_SPOOL_DIR": str(self.folder / "spool"),
        }

    def command(self) -> list[str]:
        return [python(), "-m", "scaleweb.stack"]

    def is_ready(self) -> bool:
        return json.loads(self.server.get("/healthz"))["status"] == "ok"

    def prepared(self) -> dict[str, str]:
        os.environ.update(self.environment() | {"DJANGO_SETTINGS_MODULE": "scaleweb.settings"})
        import django

        django.setup()
        from django.conf import settings
        from django.contrib.auth import get_user_model
        from django.test import Client

        from training.models import ApiToken, TokenKind

        admin = get_user_model().objects.filter(is_superuser=True)[0]
        token = ApiToken.issue(TokenKind.USER, user=admin, name="bench")[1]
        browser = Client()
        browser.force_login(admin)
        cookie = browser.cookies[settings.SESSION_COOKIE_NAME].value
        self.session = {
            "Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}",
            "Origin": f"http://127.0.0.1:{self.port}",
        }
        self.server.headers = {"Authorization": f"Bearer {token}"}
        return {"SCALEWEB_URL": f"http://127.0.0.1:{self.port}", "SCALEWEB_TOKEN": token}

    def ask(self, path: str, **query: Any) -> Any:
        return json.loads(self.server.get(f"/api/v1/{path}", **query))

    def open(self, name: str) -> Logger:
        return SdkLogger(name)

    def readable(self, run: str, keys: Sequence[str] = KEYS) -> int:
        found = {each["key"]: each["points"] for each in self.ask(f"runs/{run}/keys")["results"]}
        return min(found.get(key, 0) for key in keys)

    @contextmanager
    def watched(self, run: str) -> Iterator[None]:
        from websockets.sync.client import connect

        with connect(f"ws://127.0.0.1:{self.port}/ws/live", additional_headers=self.session) as page:
            page.send(json.dumps({"type": "subscribe", "topics": [f"run:{run}"]}))
            page.recv(10)
            yield

    def chart(self, run: str, key: str, width: int) -> int:
        body = {"sources": [f"run:{run}"], "keys": [key], "width": width}
        told = json.loads(self.server.post("/api/v1/series/read", body))
        return sum(len(part["columns"]["step"]) for part in told["series"])

    def fill_runs(self, count: int) -> int:
        for number in range(count):
            body = {
                "project": PROJECT,
                "experiment_name": "listed",
                "name": f"listed {number}",
                "config": CONFIG,
            }
            code = json.loads(self.server.post("/api/v1/runs", body))["code"]
            points = [{"key": key, "step": 0, "value": number / 7} for key in KEYS]
            self.server.post(f"/api/v1/runs/{code}/points", {"points": points})
        return count

    def list_runs(self, count: int) -> int:
        return len(self.ask("runs", limit=count, column="name")["results"])

    def list_values(self, count: int) -> int:
        columns = ["name", *(f"metric:{key}" for key in KEYS)]
        return len(self.ask("runs", limit=count, column=columns)["results"])


DRIVER = Ours
